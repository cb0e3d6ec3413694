// node program.js URL[,URL] [scenario...]: runs the scenarios (default: all) at this server; the second URL is lame_duck's.
//
// One line each, `ok <scenario>` or `FAILED <scenario>: why`; ends with 1 if any failed. Where the server has to be restarted
// or sent away, it prints `ready restart` or `ready lame_duck` and goes on when it reads a line.
import { Place } from "./place.js";
import * as scenarios from "./scenarios.js";

const SCENARIO_MS_MAX = 30_000;

async function run(name, url, otherUrl) {
  const place = new Place(url, otherUrl);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${SCENARIO_MS_MAX} ms`)), SCENARIO_MS_MAX);
  });
  try {
    await Promise.race([scenarios[name](place), late]);
    console.log("ok", name);
    return true;
  } catch (problem) {
    console.log(`FAILED ${name}: ${String(problem).replaceAll("\n", " ").slice(0, 500)}`);
    return false;
  } finally {
    clearTimeout(timer);
    await place.closeAll();
  }
}

const [urls, ...names] = process.argv.slice(2);
if (!urls) {
  console.error("usage: node program.js URL[,URL] [scenario...]");
  process.exit(2);
}
const [url, otherUrl] = urls.split(",");
let good = true;
for (const name of names.length ? names : Object.keys(scenarios)) good = (await run(name, url, otherUrl)) && good;
process.exit(good ? 0 : 1);
