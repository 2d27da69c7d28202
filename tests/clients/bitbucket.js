// Behind README.md's snippet, which makes `client` and reads the first `page`.
const slugs = page.values.map(({ slug }) => slug);
for (let last = page; client.hasNextPage(last); ) {
  ({ data: last } = await client.getNextPage(last));
  slugs.push(...last.values.map(({ slug }) => slug));
}
const at = { workspace: "team", repo_slug: "tools", commit: "feature/x", path: "dir/a b.md" };
const file = await client.repositories.readSrc(at);
console.log(JSON.stringify({ slugs, file: file.data }));
