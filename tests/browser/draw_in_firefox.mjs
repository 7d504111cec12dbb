// Opens the live page in Firefox over WebDriver BiDi, draws each drawing with the mouse, and prints what it answers as JSON.
// node draw_in_firefox.mjs FIREFOX PAGE DRAWINGS, in a folder with npm's puppeteer-core.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const puppeteer = createRequire(`${process.cwd()}/`)("puppeteer-core");
const [executablePath, address, drawings] = process.argv.slice(2);
const found = { asked: [], said: [], answers: [] };
const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  page.on("request", (request) => found.asked.push(request.url()));
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && found.said.push(message.text()));
  page.on("pageerror", (error) => found.said.push(String(error)));
  await page.goto(address);
  await page.waitForFunction(() => document.getElementById("live").dataset.busy === "false", { timeout: 60_000 });
  found.agrees = await page.$eval("#agrees", (element) => element.textContent);
  const pad = await (await page.$("#pad")).boundingBox();
  const place = ([x, y]) => [pad.x + x * pad.width, pad.y + y * pad.height];
  for (const { strokes } of JSON.parse(readFileSync(drawings)).drawings) {
    await page.click("#clear");
    for (const [first, ...others] of strokes) {
      await page.mouse.move(...place(first));
      await page.mouse.down();
      for (const point of others) await page.mouse.move(...place(point));
      await page.mouse.up();
    }
    await page.waitForFunction(() => document.getElementById("live").dataset.busy === "false");
    found.answers.push(await page.$eval("#answer li span:nth-child(2)", (element) => element.textContent));
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(found));
