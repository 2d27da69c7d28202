// Behind README.md's snippet, which makes `slack` and asks for `user`.
const channels = [];
for await (const page of slack.paginate("conversations.list", { limit: 2 })) {
  channels.push(...page.channels.map(({ name }) => name));
}
const history = await slack.conversations.history({ channel: "C1" }).catch(({ data }) => data);
console.log(JSON.stringify({ user, channels, history }));
