#!/usr/bin/env bash
# Installs what the tests of editors need: Neovim, whose own client opens scripts (tests/setup/editor.lua), and from npm
# what VS Code tokenises with (tests/setup/grammar.js), into target/editor.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v nvim >/dev/null; then
    echo 'installing neovim'
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends neovim >/dev/null
fi
if [ ! -d target/editor/node_modules/vscode-textmate ]; then
    if command -v npm >/dev/null; then
        npm install --silent --no-audit --no-fund --prefix target/editor vscode-textmate@9.2.0 vscode-oniguruma@2.0.1
    else
        echo 'SKIPPED editor.sh: there is no npm, the grammar of the VS Code extension is not tested' >&2
    fi
fi
