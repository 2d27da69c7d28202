// Emulated APIs of providers, from npm's emulate: node emulator.js SERVICE prints its address and serves.
//
// Each service knows alice and bob, and before them `nobody`: emulate takes the first of its users for the holder of a token
// that it does not know, and so a wrong token answers as nobody. GET /seen tells which calls have come, in their order.
import http from "node:http";
import { createEmulator } from "emulate";

const [service] = process.argv.slice(2);
const redirect_uris = ["http://localhost/callback"];
const client = { client_id: "client", client_secret: "s3cret", name: "The tenant's connection", redirect_uris };
const names = ["nobody", "alice", "bob"];
const users = names.map((name) => ({ login: name, name, email: `${name}@example.com` }));

const seeds = {
  github: {
    users,
    repos: names.slice(1).flatMap((owner) => ["one", "two", "three"].map((name) => ({ owner, name, auto_init: true }))),
    oauth_apps: [client],
  },
  google: { users, oauth_clients: [client] },
  microsoft: { users, oauth_clients: [client] },
  slack: { users, channels: [{ name: "general" }], oauth_apps: [{ ...client, user_scopes: ["chat:write"] }] },
};

// The address is known, and only this machine's, before the emulator is made: it is given what comes in here.
let emulator;
const seen = [];
const door = http.createServer((request, response) => {
  if (request.url === "/seen") {
    response.setHeader("content-type", "application/json");
    return response.end(JSON.stringify(seen));
  }
  seen.push(`${request.method} ${request.url}`);
  return emulator.emit("request", request, response);
});
await new Promise((listening) => door.listen(0, "127.0.0.1", listening));
const { port } = door.address();
http.Server.prototype.listen = function handedOver() { emulator = this; return this; };
const baseUrl = `http://127.0.0.1:${port}`;
await createEmulator({ service, port, baseUrl, seed: { tokens: {}, [service]: seeds[service] } });
console.log(`listening ${baseUrl}`);
