"""System turns at servers whose template is unknown: where one is refused, it is folded into the first user turn."""

from typing import Any

from attar.chat.system_turns import fold_system, has_system, is_refusal
from attar.engines.http.failures import FailedTry
from attar.engines.http.tokenizer import Post


def fold_refused(post: Post) -> Post:
    """The same calls; a system turn that the server refuses is folded and sent again, and later ones are folded at once."""
    takes_none = False

    async def post_folded(path: str, body: dict[str, Any]) -> Any:
        nonlocal takes_none
        if not has_system(body.get("messages", ())):
            return await post(path, body)
        folded = {**body, "messages": list(map(dict, fold_system(body["messages"])))}
        if takes_none:
            return await post(path, folded)
        try:
            return await post(path, body)
        except FailedTry as failure:
            if failure.kind not in ("refused", "server error") or not is_refusal(failure.reason):
                raise
        reply = await post(path, folded)
        takes_none = True
        return reply

    return post_folded
