-- A session of Neovim's own language client with `fodo lsp`: opens a script, asks, mends it. Prints one JSON object.
--
--     PROGRAM=fodo SCRIPT=step.rhai nvim --headless -u NONE -c 'luafile editor.lua' -c 'qa!'

local told = { answers = {}, milliseconds = {} }

local function finish()
    local out = io.open(vim.env.ANSWER, "w")
    out:write(vim.fn.json_encode(told))
    out:close()
end

vim.cmd("edit " .. vim.fn.fnameescape(vim.env.SCRIPT))
local buffer = vim.api.nvim_get_current_buf()
local client = vim.lsp.start_client({
    name = "fodo",
    cmd = { vim.env.PROGRAM, "lsp", "--facility", "demo_ring" },
    root_dir = vim.fn.getcwd(),
})
vim.lsp.buf_attach_client(buffer, client)

-- Waits until as many diagnostics are there, and tells them: lines and columns in bytes, from 1, as Neovim has them.
local function diagnostics(name, count)
    local found = {}
    vim.wait(10000, function()
        found = vim.diagnostic.get(buffer)
        return #found == count
    end, 10)
    local list = {}
    for _, one in ipairs(found) do
        table.insert(list, { line = one.lnum + 1, column = one.col + 1, last = one.end_col, message = one.message, severity = one.severity })
    end
    told.answers[name] = list
end

-- Puts the cursor behind a text and asks.
local function ask(name, method, behind)
    vim.api.nvim_win_set_cursor(0, { 1, 0 })
    if vim.fn.search("\\V" .. vim.fn.escape(behind, "\\"), "ceW") == 0 then
        told.answers[name] = "there is no " .. behind
        return
    end
    local cursor = vim.api.nvim_win_get_cursor(0)
    local line = vim.api.nvim_get_current_line()
    local position = vim.lsp.util.make_position_params(0, "utf-16")
    -- the cursor of normal mode cannot stand behind the last character
    position.position.character = vim.lsp.util._str_utfindex_enc(line, cursor[2] + 1, "utf-16")
    local start = vim.loop.hrtime()
    local answer = vim.lsp.buf_request_sync(buffer, method, position, 5000)
    told.milliseconds[name] = (vim.loop.hrtime() - start) / 1e6
    local one = answer and answer[client] or {}
    told.answers[name] = one.result or one.err or vim.NIL
end

diagnostics("opened", 4)
ask("complete_member", "textDocument/completion", "HCOR.st")
ask("complete_option", "textDocument/completion", "#{ sh")
ask("complete_parameter", "textDocument/completion", "step(p.ki")
ask("complete_library", "textDocument/completion", "mml::getx")
ask("hover_function", "textDocument/hover", "orbit = get_orb")
ask("hover_family", "textDocument/hover", "; VCO")
ask("hover_library", "textDocument/hover", "mml::get")
ask("hover_own", "textDocument/hover", "print(scal")
ask("define_own", "textDocument/definition", "print(scal")
ask("define_variable", "textDocument/definition", "print(kick")
ask("define_library", "textDocument/definition", "mml::get")
ask("define_procedure", "textDocument/definition", "correct_or")
ask("signature", "textDocument/signatureHelp", "measure_response(HCOR, ")
ask("signature_method", "textDocument/signatureHelp", "HCOR.step(")
ask("symbols", "textDocument/documentSymbol", "fn run")

-- half written: the server goes on, and completes
local lines = vim.api.nvim_buf_get_lines(buffer, 0, -1, false)
vim.api.nvim_buf_set_lines(buffer, -1, -1, false, { "fn half(x) {", "    let r = QF.", "    get_orbit(BPM, #{ " })
diagnostics("half", 1)
ask("half_member", "textDocument/completion", "r = QF.")
ask("half_option", "textDocument/completion", "get_orbit(BPM, #{ ")

-- mended: nothing is left to tell
for at, line in ipairs(lines) do
    line = line:gsub("step%(5%.0%)", "step(p.kick)"):gsub("VCOR%[0%]", "HCOR[0]"):gsub("shot:", "shots:")
    lines[at] = line:gsub("print%(orbit", "print(unused); print(orbit")
end
vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
diagnostics("mended", 0)
finish()
