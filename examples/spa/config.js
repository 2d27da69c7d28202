// Where everything is. As it stands: `idp-proxy dev`.

/** The proxy. It says itself where its users sign in, and what their tokens are for. */
export const proxy = "http://127.0.0.1:8080";

/** This application at Auth0: a Single Page Application, with this page among its Allowed Callback, Logout and Web URLs. */
export const clientId = "demoSpaClient";

/** What is called. At Google itself it is `/oauth2/v3/userinfo`. */
export const calls = [
  { provider: "github", path: "/user" },
  { provider: "google", path: "/user" },
];
