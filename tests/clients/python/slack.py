# Behind README.md's snippet, which makes `slack` and asks for `user`.
import json

from slack_sdk.errors import SlackApiError

channels = [channel["name"] for page in slack.conversations_list(limit=2) for channel in page["channels"]]
try:
    history = slack.conversations_history(channel="C1").data
except SlackApiError as error:
    history = error.response.data
print(json.dumps({"user": user, "channels": channels, "history": history}))
