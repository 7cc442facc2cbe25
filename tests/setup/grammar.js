// Tokenises scripts as VS Code does. Prints one JSON object: by file its tokens ([text, scopes] by line), and whether a
// bracket, text or comment of the grammar is still open at the end.
//
//     node grammar.js MODULES GRAMMAR.json FILE...

const fs = require("fs");
const path = require("path");
const [modules, grammarFile, ...files] = process.argv.slice(2);
const textmate = require(path.join(modules, "vscode-textmate"));
const oniguruma = require(path.join(modules, "vscode-oniguruma"));

async function main() {
  await oniguruma.loadWASM(fs.readFileSync(path.join(modules, "vscode-oniguruma/release/onig.wasm")));
  const registry = new textmate.Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async () => textmate.parseRawGrammar(fs.readFileSync(grammarFile, "utf8"), grammarFile),
  });
  const grammar = await registry.loadGrammar("source.rhai");
  const told = {};
  for (const file of files) {
    let stack = textmate.INITIAL;
    const lines = [];
    for (const line of fs.readFileSync(file, "utf8").split("\n")) {
      const { tokens, ruleStack } = grammar.tokenizeLine(line, stack);
      lines.push(tokens.map((token) => [line.slice(token.startIndex, token.endIndex), token.scopes.slice(1)]));
      stack = ruleStack;
    }
    told[file] = { lines, open: stack.depth > 1 };
  }
  console.log(JSON.stringify(told));
}

main();
