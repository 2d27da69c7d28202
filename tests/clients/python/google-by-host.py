# Behind README.md's snippet, which makes `files` and reads the first `page`.
import json
from io import BytesIO

from googleapiclient.http import MediaIoBaseUpload, MediaInMemoryUpload

names = [file["name"] for file in page["files"]]
request = files.list_next(files.list(pageSize=2), page)
while request is not None:
    page = request.execute()
    names += [file["name"] for file in page["files"]]
    request = files.list_next(request, page)

whole = MediaInMemoryUpload(b"in one piece", mimetype="text/plain")
one = files.create(body={"name": "a.txt"}, media_body=whole).execute()

# Pieces are multiples of 256 KiB.
piece = 256 * 1024
pieces = MediaIoBaseUpload(BytesIO(b"0" * piece + b"12345"), "text/plain", chunksize=piece, resumable=True)
request = files.create(body={"name": "b.txt"}, media_body=pieces)
status, nothing = request.next_chunk()
nothing_more, two = request.next_chunk()

print(json.dumps({
    "names": names,
    "one": one["id"],
    "session": request.resumable_uri,
    "half": status.resumable_progress,
    "two": two["id"],
}))
