// Behind README.md's snippet, which makes `octokit` and reads `repositories`.
const repo = { owner: "acme", repo: "tools" };
const { rest } = octokit;

const issues = await octokit.paginate(rest.issues.listForRepo, { ...repo, per_page: 2 });
const found = await octokit.paginate(rest.search.issuesAndPullRequests, { q: "repo:acme/tools is:open", per_page: 2 });
const moved = await rest.repos.get({ owner: "acme", repo: "old" });
const changed = await rest.repos.update({ owner: "acme", repo: "old", description: "ünïcode" });
const path = "dir one/file#1.md";
const content = await rest.repos.getContent({ ...repo, path, ref: "feature/x" });
const { viewer } = await octokit.graphql("query { viewer { login } }");

// An answer that has not changed is an error to Octokit, with the status in it.
const first = await rest.repos.get(repo);
const again = await rest.repos.get({ ...repo, headers: { "if-none-match": first.headers.etag } }).catch((error) => error);

const release = await rest.repos.getReleaseByTag({ ...repo, tag: "v1" });
const asset = await octokit.request({
  method: "POST",
  url: release.data.upload_url,
  name: "a b.txt",
  label: "text",
  data: "hello, asset",
  headers: { "content-type": "text/plain" },
});

// With a slash at the end.
const { baseUrl } = octokit.request.endpoint.DEFAULTS;
const user = await new Octokit({ auth: token, baseUrl: `${baseUrl}/` }).rest.users.getAuthenticated();

console.log(JSON.stringify({
  repositories: repositories.map(({ name }) => name),
  issues: issues.map(({ number }) => number),
  found: found.map(({ number }) => number),
  moved: moved.data.full_name,
  changed: changed.data,
  content: content.data.path,
  viewer: viewer.login,
  again: again.status,
  asset: asset.data,
  user: user.data,
}));
