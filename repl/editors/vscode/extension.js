// Starts `fodo lsp` for scripts, and starts it anew when its settings change.

const { commands, window, workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function server() {
  const settings = workspace.getConfiguration("fodo");
  const facility = settings.get("facility");
  const args = ["lsp", "--procedures", settings.get("procedures")];
  const folder = workspace.workspaceFolders?.[0]?.uri.fsPath;
  return {
    command: settings.get("program"),
    args: facility ? [...args, "--facility", facility] : args,
    options: folder ? { cwd: folder } : {},
  };
}

async function start() {
  await client?.stop();
  client = new LanguageClient("fodo", "Fodo", server(), { documentSelector: [{ language: "rhai" }] });
  try {
    await client.start();
  } catch (error) {
    window.showErrorMessage(`Fodo's language server does not start: ${error.message}. Is "fodo.program" right?`);
  }
}

async function activate(context) {
  context.subscriptions.push(
    commands.registerCommand("fodo.restart", start),
    workspace.onDidChangeConfiguration((change) => change.affectsConfiguration("fodo") && start()),
  );
  await start();
}

module.exports = { activate, deactivate: () => client?.stop() };
