// A certified OpenID provider with rotating refresh tokens: one that comes twice revokes the whole grant.
//
// node judge.js ACCOUNTS SECONDS DOORS SPARE LATENCY: signs in that many accounts, with access tokens that live SECONDS,
// and prints one line of JSON. It is reached through several doors, so that it can tell who renews. It counts whole
// seconds: with SPARE more of them a token lives no less than it says. A renewal takes up to LATENCY milliseconds before it
// is done, and as much again before it is answered. GET /report tells what it has seen. Ends when its input does.
import http from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import Provider from "oidc-provider";

const [accounts, seconds, doorCount, spare, latency] = process.argv.slice(2).map(Number);
const seen = { renewals: 0, revoked: [], refused: [] };

const doors = [];
for (let number = 0; number < doorCount; number += 1) {
  const server = http.createServer();
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  // How many renewals are under way, when each account's last one was done, and whose caller was gone before its answer.
  doors.push({ server, port: server.address().port, open: 0, done: {}, gone: [] });
}
// By its port: a connection that has ended does not know its own any more.
const doorOf = (request) => doors.find(({ port }) => request.headers.host.endsWith(`:${port}`));
const url = ({ port }) => `http://127.0.0.1:${port}`;
const issuer = url(doors[0]);

const provider = new Provider(issuer, {
  clients: [{
    client_id: "rp", client_secret: "s3cret", redirect_uris: ["http://localhost/cb"], response_types: ["code"],
    grant_types: ["authorization_code", "refresh_token"], token_endpoint_auth_method: "client_secret_post",
  }],
  scopes: ["openid", "offline_access"],
  features: { devInteractions: { enabled: false } },
  rotateRefreshToken: true,
  ttl: { AccessToken: seconds + spare, RefreshToken: 86400, Grant: 86400, IdToken: 3600 },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
const holders = new Map();
provider.on("grant.success", (context) => {
  seen.renewals += 1;
  context.body.expires_in = seconds;
  const { accountId } = context.oidc.entities.Account;
  const door = doorOf(context.req);
  door.done[accountId] = Date.now();
  const closed = () => { if (!context.res.writableFinished) door.gone.push(accountId); };
  if (context.res.closed) closed(); else context.res.on("close", closed);
});
provider.on("grant.revoked", (_, grantId) => { seen.revoked.push(holders.get(grantId)); });
provider.on("grant.error", (_, error) => { seen.refused.push(`${error.message}: ${error.error_detail ?? ""}`); });
provider.use(async (context, next) => {
  if (context.path !== "/token") return next();
  // Not by the connection, which may end before the renewal does.
  const door = doorOf(context.req);
  door.open += 1;
  try {
    await pause(Math.random() * latency);
    await next();
    await pause(Math.random() * latency);
  } finally {
    door.open -= 1;
  }
});

const answer = provider.callback();
for (const { server } of doors) {
  server.on("request", (request, response) => {
    if (request.url !== "/report") return answer(request, response);
    response.setHeader("content-type", "application/json");
    return response.end(JSON.stringify({ ...seen, doors: doors.map(({ open, done, gone }) => ({ open, done, gone })) }));
  });
}

// What a sign-in through Auth0 would have left: a grant, and a refresh token of it.
const client = await provider.Client.find("rp");
const users = [];
for (let number = 0; number < accounts; number += 1) {
  const accountId = `account-${number}`;
  const grant = new provider.Grant({ accountId, clientId: "rp" });
  grant.addOIDCScope("openid offline_access");
  const grantId = await grant.save();
  holders.set(grantId, accountId);
  const token = new provider.RefreshToken({
    accountId, client, grantId, scope: "openid offline_access", gty: "authorization_code",
    authTime: Math.floor(Date.now() / 1000), iiat: Math.floor(Date.now() / 1000), rotations: 0,
  });
  users.push({ account: accountId, refresh_token: await token.save() });
}
console.log(JSON.stringify({ doors: doors.map(url), users }));
process.stdin.on("end", () => process.exit(0)).resume();
