// Behind README.md's snippet, which makes `files` for `user` and reads the first `page`.
const names = page.files.map(({ name }) => name);
const { data: next } = await files.list({ pageSize: 2, pageToken: page.nextPageToken });
names.push(...next.files.map(({ name }) => name));

// An upload in pieces: `files.create` sends all at once, so the library's own way to ask is used.
const begun = await user.request({
  method: "POST",
  url: "https://google.proxy.example.com/upload/drive/v3/files?uploadType=resumable",
  headers: { "x-upload-content-type": "text/plain", "x-upload-content-length": "10" },
  data: { name: "b.txt" },
});
const session = begun.headers.get("location");
const put = (data, range) => user.request({
  method: "PUT",
  url: session,
  headers: { "content-range": range },
  data,
  // More is awaited: 308, which leads nowhere.
  validateStatus: (status) => status === 200 || status === 308,
});
const half = await put("01234", "bytes 0-4/10");
const whole = await put("56789", "bytes 5-9/10");

console.log(JSON.stringify({
  names,
  session,
  half: { status: half.status, range: half.headers.get("range") },
  whole: whole.data.id,
}));
