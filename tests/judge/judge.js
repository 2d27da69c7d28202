// A certified OpenID provider with rotating refresh tokens: one that comes twice revokes the whole grant.
//
// node judge.js ACCOUNTS SECONDS: signs in that many accounts, with access tokens that live that long, and prints one
// line of JSON. GET /report tells what it has seen. Ends when its input does.
import http from "node:http";
import Provider from "oidc-provider";

const [accounts, seconds] = process.argv.slice(2).map(Number);
const seen = { renewals: 0, revoked: 0, refused: [] };

const server = http.createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: "rp", client_secret: "s3cret", redirect_uris: ["http://localhost/cb"], response_types: ["code"],
    grant_types: ["authorization_code", "refresh_token"], token_endpoint_auth_method: "client_secret_post",
  }],
  scopes: ["openid", "offline_access"],
  features: { devInteractions: { enabled: false } },
  rotateRefreshToken: true,
  ttl: { AccessToken: seconds, RefreshToken: 86400, Grant: 86400, IdToken: 3600 },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
provider.on("grant.success", () => { seen.renewals += 1; });
provider.on("grant.revoked", () => { seen.revoked += 1; });
provider.on("grant.error", (_, error) => { seen.refused.push(`${error.message}: ${error.error_detail ?? ""}`); });

const answer = provider.callback();
server.on("request", (request, response) => {
  if (request.url !== "/report") return answer(request, response);
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(seen));
});

// What a sign-in through Auth0 would have left: a grant, and a refresh token of it.
const client = await provider.Client.find("rp");
const users = [];
for (let number = 0; number < accounts; number += 1) {
  const accountId = `account-${number}`;
  const grant = new provider.Grant({ accountId, clientId: "rp" });
  grant.addOIDCScope("openid offline_access");
  const grantId = await grant.save();
  const token = new provider.RefreshToken({
    accountId, client, grantId, scope: "openid offline_access", gty: "authorization_code",
    authTime: Math.floor(Date.now() / 1000), iiat: Math.floor(Date.now() / 1000), rotations: 0,
  });
  users.push({ account: accountId, refresh_token: await token.save() });
}
console.log(JSON.stringify({ issuer, users }));
process.stdin.on("end", () => process.exit(0)).resume();
