// A browser at the tenant: it keeps cookies, follows redirects, and presses one button on the page where one signs in.
export class Browser {
  #cookies = new Map();

  async #send(url, init = {}) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, { ...init, redirect: "manual", headers: { ...init.headers, cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value === "") this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return response;
  }

  // Goes to `url` and on, until it is led away from the tenant: to where. On a page with a button for `sub` it presses it.
  async visit(url, sub) {
    const tenant = new URL(url).origin;
    let response = await this.#send(url);
    for (;;) {
      const location = response.headers.get("location");
      if (location !== null) {
        const next = new URL(location, tenant);
        if (next.origin !== tenant) return next;
        response = await this.#send(next);
        continue;
      }
      const page = await response.text();
      const [, action] = /<form method="post" action="([^"]+)"/.exec(page) ?? [];
      if (action === undefined) throw new Error(`${response.status}: ${page}`);
      const hidden = [...page.matchAll(/<input[^>]* name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [name, value]);
      const body = new URLSearchParams([...hidden, ["sub", sub]]);
      response = await this.#send(new URL(action, tenant), { method: "POST", body, headers: { origin: tenant } });
      // The last page of a flow that leads nowhere.
      if (action === "/activate") return response.status;
    }
  }
}
