"""An engine whose answers the test decides: a function from a request to a text, weights, a vector, a reward, or an error."""

from attar.chat.templates import Template
from attar.engines.base import Reply, Spec

CHATML = (
    "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Scripted:
    """Keeps what it was asked; a text that ends in `...` is one cut off, an Exception is the row's failure."""

    def __init__(self, say):
        self.spec = Spec("fake", "scripted")
        self.template = Template(CHATML, {"eos_token": "<|im_end|>"})
        self.say, self.asked = say, []

    def identity(self):
        return "scripted"

    def close(self):
        pass

    def _each(self, requests, **made):
        for request in requests:
            self.asked.append(request)
            found = self.say(request)
            if isinstance(found, Exception):
                yield Reply(request.index, error=str(found))
            else:
                yield made["reply"](request, found)

    def generate(self, requests):
        def reply(request, text):
            cut = text.endswith("...")
            return Reply(request.index, text, "length" if cut else "stop", tokens_in=7, tokens_out=len(text.split()))

        return self._each(requests, reply=reply)

    def weigh(self, requests):
        return self._each(requests, reply=lambda request, found: Reply(request.index, weights=tuple(found)))

    def embed(self, requests):
        return self._each(requests, reply=lambda request, found: Reply(request.index, vector=tuple(found)))

    def reward(self, requests):
        return self._each(requests, reply=lambda request, found: Reply(request.index, reward=found))
