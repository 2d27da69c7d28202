# Behind README.md's snippet, which makes `graph` of a `session` and reads the first `page`.
import json

posts = page["data"]
while "next" in page["paging"]:
    page = session.get(page["paging"]["next"]).json()
    posts += page["data"]
published = graph.request("v3.1/me/feed", post_args={"message": "hello & <b>"})
print(json.dumps({"posts": [post["id"] for post in posts], "published": published["id"]}))
