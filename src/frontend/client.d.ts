/** What a client is made with. */
export interface ClientOptions {
  /**
   * The user's Auth0 access token for the proxy. `cacheMode` is `"off"` when a call is made once more, so that it is not
   * made with the token that was refused: the options are those of `getTokenSilently` in `@auth0/auth0-spa-js`, which can
   * be called with them as they are. Without a token the call is made without one, and refused as `missing_token`.
   */
  getToken(options: { cacheMode: "on" | "off" }): string | undefined | Promise<string | undefined>;

  /**
   * Called when a call failed since the user's account at the provider is not connected, or is no longer: `connect` says
   * what has to be done. Once for calls that fail at the same time. If it gives `true`, they are made once more; otherwise,
   * and always for a body that is a stream, the problem is thrown.
   */
  onReconnect?(problem: ProxyProblem & { connect: Connect }): unknown;

  /** Where the proxy is. Where this file was loaded from, unless it is given. */
  proxy?: string | URL;
}

export interface Client {
  /**
   * The browser's `fetch` at a provider. A path begins with a slash and is the provider's own; a link that the proxy gave
   * in an answer (`Link`, `Location`) may stand in its place. Whatever the provider answers is returned as it is, errors
   * too; a refusal of the proxy's own is thrown as a {@link ProxyProblem}, and what no page may see (another origin than
   * those configured, no network) as the `TypeError` of `fetch`.
   *
   * A provider that misses a scope says so in an answer of its own; the proxy adds `Idp-Proxy-Scope-Needed` and, in
   * `Idp-Proxy-Connect`, where to sign in for it.
   */
  fetch(provider: string, path: string, init?: RequestInit): Promise<Response>;

  /** The user's connections, as the proxy knows them. */
  connections(): Promise<Connections>;

  /**
   * Has the proxy forget what it holds for the user at this provider, and revoke it there; `revoked` says whether it could.
   * Of several accounts the header `Idp-Proxy-Account` in `init` chooses one. `onReconnect` is not called.
   */
  disconnect(provider: string, init?: RequestInit): Promise<Response>;
}

/** A client for the proxy. */
export function createClient(options: ClientOptions): Client;

/** A refusal of the proxy's own (RFC 9457). What a provider answers never is one. */
export class ProxyProblem extends Error {
  /** What went wrong, such as `reconnect_required`; `/problems/{code}` of the proxy tells more. */
  readonly code: string;
  readonly status: number;
  /** The headers of the answer, with `Retry-After` where it pays to wait. */
  readonly headers: Headers;
  /** What follows came in the body; the answer to `HEAD` has none. */
  readonly type?: string;
  readonly title?: string;
  readonly detail?: string;
  /** Who can mend it. */
  readonly fault?: "caller" | "proxy" | "tenant" | "provider";
  readonly provider?: string;
  readonly request_id?: string;
  /** Which of the user's accounts at the provider may be meant; the header `Idp-Proxy-Account` chooses one. */
  readonly choices?: string[];
  readonly connect?: Connect;
}

/** What has to be done for the user's account at a provider to be connected. */
export interface Connect {
  /** Auth0's connection, for `authorizationParams` of a login. Absent where it is the user's own token that lacks a scope. */
  connection?: string;
  /**
   * `login`: sign in again with the account that is the user's already. `link`: add another account to the user, since
   * signing in with it would make another user. `connected_accounts`: the flow that fills Auth0's Token Vault.
   */
  kind: "login" | "link" | "connected_accounts";
  /** The scopes to ask the provider for, for `authorizationParams` of a login. */
  connection_scope?: string;
  /** The scope that the user's own token lacks. */
  scope?: string;
  /** For `link`: the request that links the account, when the user has signed in with it in a second session. */
  link?: object;
  /** For `connected_accounts`: the first request of that flow, and where its last one goes. */
  connected_accounts?: object;
  /** The whole login as a URL, but for `state`, `nonce` and the PKCE challenge, which only the application can know. */
  url?: string;
}

export interface Connections {
  subject: string;
  providers: Connection[];
}

export interface Connection {
  name: string;
  url: string;
  host: string | null;
  state: "connected" | "not_connected" | "reconnect_required" | "ambiguous_account" | "unknown";
  account: string | null;
  scopes: string[] | null;
  /** Which accounts may be meant, where the state is `ambiguous_account`. */
  choices?: string[];
  expires_at: string | null;
  connect: Connect | null;
}
