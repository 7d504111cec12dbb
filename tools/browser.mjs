// Open the lessons' site in a real browser, and do what a reader does: node browser.mjs '{"browser": ...}'.
// One driver for both: Chromium by its own protocol, Firefox by WebDriver BiDi. It prints what it found as JSON.
//   {browser: "chrome" or "firefox", executable, site, packages, task: "lessons", "reader", "axe" or "visit",
//    names, seconds}: names are notebooks of the site for the first two tasks, and addresses for the others.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const wanted = JSON.parse(process.argv[2]);
const { default: puppeteer } = await import(
  pathToFileURL(`${wanted.packages}/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js`).href
);

// Every request that would leave the machine goes to this proxy, which notes and refuses it.
const outside = new Set();
const proxy = createServer((request, response) => {
  outside.add(new URL(request.url).host);
  response.writeHead(403).end();
});
proxy.on("connect", (request, socket) => {
  outside.add(request.url);
  socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
});
await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));
const port = proxy.address().port;

const browser = await puppeteer.launch({
  browser: wanted.browser,
  executablePath: wanted.executable,
  headless: true,
  protocolTimeout: 1000 * wanted.seconds,
  // Without a sandbox because a container's root may have none.
  args: wanted.browser === "chrome"
    ? ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
       "--disable-sync", `--proxy-server=127.0.0.1:${port}`, "--proxy-bypass-list=127.0.0.1"]
    : [],
  extraPrefsFirefox: {
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1", "network.proxy.http_port": port,
    "network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": port,
    "network.proxy.no_proxies_on": "127.0.0.1",
    "network.captive-portal-service.enabled": false, "network.connectivity-service.enabled": false,
  },
});

async function open(page, name) {
  await page.goto(`${wanted.site}/notebooks/index.html?path=${name}`, { waitUntil: "domcontentloaded" });
  await page.waitForFunction(
    () => globalThis.jupyterapp?.shell.currentWidget?.content?.model?.cells.length > 1,
    { timeout: 1000 * wanted.seconds, polling: 200 },
  );
}

// The first answer of the kernel: what the reader waits for after opening a lesson.
const ready = (page) => page.evaluate(async () => {
  const { sessionContext } = globalThis.jupyterapp.shell.currentWidget;
  await sessionContext.ready;
  await sessionContext.session.kernel.info;
  await sessionContext.session.kernel.requestExecute({ code: "1" }).done;
});

// Run the cells, all or those from `first` on, and return their seconds, and what is not right in their outputs.
const run = (page, first = 0) => page.evaluate(async (first) => {
  const app = globalThis.jupyterapp;
  const notebook = app.shell.currentWidget.content;
  const wrong = [];
  const seconds = [];
  for (let i = first; i < notebook.widgets.length; i++) {
    const cell = notebook.widgets[i];
    if (cell.model.type !== "code") continue;
    notebook.activeCellIndex = i;
    const start = performance.now();
    await app.commands.execute("notebook:run-cell");
    seconds.push((performance.now() - start) / 1000);
    for (const output of cell.model.outputs.toJSON()) {
      const said = output.output_type === "error" ? `${output.ename}: ${output.evalue}`
        : output.name === "stderr" ? output.text : "";
      if (said) wrong.push(`cell ${i}: ${[said].flat().join("")}`);
    }
  }
  const texts = notebook.widgets.filter((cell) => cell.model.type === "code").flatMap((cell) =>
    cell.model.outputs.toJSON().map((output) => [output.data?.["text/plain"] ?? output.text ?? ""].flat().join("")));
  return { seconds, wrong, texts };
}, first);

async function lessons() {
  const found = {};
  for (const name of wanted.names) {
    const page = await browser.newPage();
    const start = performance.now();
    await open(page, name);
    await ready(page);
    const waited = (performance.now() - start) / 1000;
    found[name] = { waited, ...(await run(page)) };
    await page.close();
  }
  return found;
}

// Edit a cell, save and reload; then check an answer that never returns.
async function reader() {
  const page = await browser.newPage();
  const [name] = wanted.names;
  await open(page, name);
  await ready(page); // an edit that was saved while the kernel started was not kept
  const replace = (text) => page.evaluate((text) => {
    const { content } = globalThis.jupyterapp.shell.currentWidget;
    const first = content.widgets.findIndex((cell) => cell.model.type === "code");
    content.widgets[first].model.sharedModel.setSource(text);
  }, text);
  await replace("edited = 'by the reader'");
  await page.evaluate(() => globalThis.jupyterapp.commands.execute("docmanager:save"));
  await open(page, name);
  const kept = await page.evaluate(() =>
    globalThis.jupyterapp.shell.currentWidget.content.widgets.find((cell) => cell.model.type === "code").model
      .sharedModel.getSource());
  await ready(page);
  await replace(wanted.endless);
  const answer = await page.evaluate(async () => {
    const app = globalThis.jupyterapp;
    const { content } = app.shell.currentWidget;
    content.activeCellIndex = content.widgets.findIndex((cell) => cell.model.type === "code");
    await app.commands.execute("notebook:run-cell");
    return JSON.stringify(content.activeCell.model.outputs.toJSON());
  });
  return { kept, answer };
}

// What axe-core calls serious or critical on each page, as one line each.
async function axe() {
  const source = readFileSync(`${wanted.packages}/axe-core/axe.min.js`, "utf-8");
  const found = {};
  for (const address of wanted.names) {
    for (const scheme of ["light", "dark"]) {
      const page = await browser.newPage();
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.goto(address, { waitUntil: "load" });
      await page.evaluate(source);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      found[`${address} ${scheme}`] = violations.filter(({ impact }) => impact === "serious" || impact === "critical")
        .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)} ${node.failureSummary}`));
      await page.close();
    }
  }
  return found;
}

async function visit() {
  const page = await browser.newPage();
  for (const address of wanted.names) await page.goto(address, { waitUntil: "load" });
  return {};
}

try {
  const found = await { lessons, reader, axe, visit }[wanted.task]();
  console.log(JSON.stringify({ version: await browser.version(), found, outside: [...outside] }));
} finally {
  await browser.close();
  proxy.close();
}
