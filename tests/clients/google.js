// Behind README.md's snippet, which makes `files` for `user` and reads the first `page`.
import { gmail } from "@googleapis/gmail";

const root = "https://proxy.example.com/proxy/google/";
const names = page.files.map(({ name }) => name);
for (let pageToken = page.nextPageToken; pageToken; ) {
  const { data } = await files.list({ pageSize: 2, pageToken }, { rootUrl: root });
  names.push(...data.files.map(({ name }) => name));
  pageToken = data.nextPageToken;
}
const uploaded = await files.create(
  { requestBody: { name: "a.txt" }, media: { mimeType: "text/plain", body: "in one piece" } },
  { rootUrl: root },
);

const { messages } = gmail({ version: "v1", auth: user }).users;
const mail = await messages.list(
  { userId: "al+1@example.com", labelIds: ["INBOX", "UNREAD"] },
  { rootUrl: "https://proxy.example.com/proxy/gmail/" },
);

console.log(JSON.stringify({ names, uploaded: uploaded.data.id, mail: mail.data.messages.map(({ id }) => id) }));
