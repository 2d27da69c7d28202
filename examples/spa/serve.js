// Serves this folder on loopback, as any server of static files would: node serve.js [PORT]

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";

const TYPES = { ".css": "text/css", ".html": "text/html", ".js": "text/javascript" };

const server = createServer(async (request, response) => {
  try {
    const { pathname } = new URL(request.url, "http://localhost");
    const path = pathname === "/" ? "/index.html" : pathname;
    // A URL has no `..` left, and a file's may not have a slash that is encoded.
    const text = await readFile(new URL(`.${path}`, import.meta.url));
    response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" }).end(text);
  } catch {
    response.writeHead(404).end();
  }
});
server.listen(Number(process.argv[2] ?? 3000), "127.0.0.1", () => {
  console.log(`listening http://127.0.0.1:${server.address().port}`);
});
