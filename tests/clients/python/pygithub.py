# Behind README.md's snippet, which makes `github` and asks for `branch`.
import json

tools = github.get_repo("acme/tools")
issues = list(tools.get_issues())
content = tools.get_contents("dir one/file#1.md", ref="feature/x")
moved = github.get_repo("acme/old")
comment = issues[0].create_comment("ünïcode")

print(json.dumps({
    "branch": branch.name,
    "commit": branch.commit.commit.message,
    "issues": [issue.number for issue in issues],
    # Not in the list: it is asked for at the URL that the list gave.
    "closed_by": issues[4].closed_by.login,
    "content": content.decoded_content.decode(),
    "moved": moved.full_name,
    "comment": comment.body,
}))
