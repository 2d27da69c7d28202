// Behind README.md's snippet, which makes `graph` and reads the first `page`.
import { PageIterator } from "@microsoft/microsoft-graph-client";

const subjects = [];
await new PageIterator(graph, page, ({ subject }) => subjects.push(subject) > 0).iterate();
const found = await graph.api("/me/messages").select("id,subject").filter("startswith(subject,'a b')").get();
const file = await graph.api("/me/drive/root:/dir one/file.txt").version("beta").get();
console.log(JSON.stringify({ subjects, found: found.value.length, file: file.name, next: page["@odata.nextLink"] }));
