// The helper in Node, as a file of one's own.

import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

import { calls } from "./calls.js";

const { module, proxy, tokens } = JSON.parse(process.env.INPUT);
writeFileSync("client.mjs", await (await fetch(module)).text());
const own = pathToFileURL("client.mjs").href;
console.log(JSON.stringify(await calls({ module: own, proxy, tokens })));
