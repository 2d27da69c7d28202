// A certified client, npm's openid-client, signs a person in and checks everything it is given.
import * as client from "openid-client";

import { Browser } from "./browser.js";

const { TENANT, AUDIENCE, SUB } = process.env;
const execute = [client.allowInsecureRequests];
const discover = (id) => client.discovery(new URL(`${TENANT}/`), id, undefined, client.None(), { execute });
const [spa, native] = [await discover("demoSpaClient"), await discover("demoLoginClient")];
const redirect_uri = "http://localhost:3000/";
const scope = "openid profile email offline_access";

// What the library says of a refusal.
const refusal = (promise) => promise.then(() => "accepted", (error) => error.error ?? error.cause?.cause?.claim ?? error.message);

async function signIn(browser, parameters = {}, checks = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const code_challenge = await client.calculatePKCECodeChallenge(pkceCodeVerifier);
  const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()];
  const url = client.buildAuthorizationUrl(spa, {
    redirect_uri, scope, audience: AUDIENCE, code_challenge, code_challenge_method: "S256", state: expectedState,
    nonce: expectedNonce, ...parameters,
  });
  const landed = await browser.visit(url, SUB);
  const all = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true, ...checks };
  return { landed, grant: () => client.authorizationCodeGrant(spa, landed, all) };
}

const browser = new Browser();
const silentTooEarly = await signIn(browser, { prompt: "none" });
const { landed, grant } = await signIn(browser, { max_age: "300" }, { maxAge: 300 });
const tokens = await grant();
const claims = tokens.claims();
const userinfo = await client.fetchUserInfo(spa, tokens.access_token, claims.sub);
const silent = await (await signIn(browser, { prompt: "none" })).grant();

const renewed = await client.refreshTokenGrant(spa, tokens.refresh_token);
const onceMore = await client.refreshTokenGrant(spa, renewed.refresh_token);
const reused = await refusal(client.refreshTokenGrant(spa, tokens.refresh_token));
const family = await refusal(client.refreshTokenGrant(spa, onceMore.refresh_token));

await client.tokenRevocation(spa, silent.refresh_token);
const revoked = await refusal(client.refreshTokenGrant(spa, silent.refresh_token));

const device = await client.initiateDeviceAuthorization(native, { scope, audience: AUDIENCE });
const polled = client.pollDeviceAuthorizationGrant(native, device);
const activated = await browser.visit(device.verification_uri_complete, SUB);
const fromDevice = await polled;

const wrongVerifier = await signIn(browser, {}, { pkceCodeVerifier: client.randomPKCECodeVerifier() });
const wrongNonce = await signIn(browser, {}, { expectedNonce: "another" });

const logout = client.buildEndSessionUrl(spa, { post_logout_redirect_uri: redirect_uri, id_token_hint: tokens.id_token });
const left = await browser.visit(logout);
const silentTooLate = await signIn(browser, { prompt: "none" });

console.log(JSON.stringify({
  landed: [...landed.searchParams.keys()],
  claims, userinfo, reused, family, revoked, activated,
  scope: tokens.scope,
  expiresIn: tokens.expires_in,
  renewed: renewed.claims().sub,
  fromDevice: [fromDevice.claims().sub, fromDevice.claims().aud, typeof fromDevice.refresh_token],
  refusals: {
    silentTooEarly: await refusal(silentTooEarly.grant()),
    codeTwice: await refusal(grant()),
    wrongVerifier: await refusal(wrongVerifier.grant()),
    wrongNonce: await refusal(wrongNonce.grant()),
    unknownConnection: await refusal((await signIn(browser, { connection: "unheard-of" })).grant()),
    noPkce: await refusal((await signIn(browser, { code_challenge: "" })).grant()),
    wrongCallback: await refusal(signIn(browser, { redirect_uri: "https://example.com/" })),
    silentTooLate: await refusal(silentTooLate.grant()),
  },
  left: left.href.replace(/state=.*/, "state"),
}));
