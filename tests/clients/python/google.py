# Behind README.md's snippet, which makes `messages` and reads the first `page`.
import json

ids = [message["id"] for message in page["messages"]]
# `list_next` takes no key twice.
while "nextPageToken" in page:
    page = messages.list(userId="me", labelIds=["INBOX", "UNREAD"], pageToken=page["nextPageToken"]).execute()
    ids += [message["id"] for message in page["messages"]]
print(json.dumps({"ids": ids}))
