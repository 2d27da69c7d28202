# Behind README.md's snippet, which makes `graph` and reads all `posts`.
import json

me = graph.get_object("me", fields="id,name")
# The client puts the token into the form. What comes of it is no error to it.
refused = graph.put_object("me", "feed", message="hello")
print(json.dumps({"posts": [post["id"] for post in posts], "me": me["name"], "refused": refused["code"]}))
