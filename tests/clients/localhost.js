// Loaded first. Answers for `*.localhost` what a name server would answer for the proxy's names: nothing but names is
// changed, and no client.
import dns from "node:dns";

const ask = dns.lookup;
dns.lookup = (name, ...rest) => ask(name.endsWith(".localhost") ? "127.0.0.1" : name, ...rest);
