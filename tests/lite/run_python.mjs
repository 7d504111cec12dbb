// Run a Python program on the site's own Pyodide and wheels, in Node: node run_python.mjs PYODIDE_FOLDER < program.py
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const folder = resolve(process.argv[2]);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`).href);
const lock = JSON.parse(readFileSync(`${folder}/pyodide-lock.json`, "utf-8"));
// What only the notebooks need takes time to load.
const notebooks = ["ipykernel", "ipython", "ipywidgets", "jedi", "piplite", "pyodide-kernel", "widgetsnbextension"];
const packages = Object.keys(lock.packages).filter((name) => !notebooks.includes(name));
const pyodide = await loadPyodide({ indexURL: `${folder}/`, packages });
try {
  pyodide.runPython(readFileSync(0, "utf-8"));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
