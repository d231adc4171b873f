# Runs the Python of docs/spec/device.md (argument 1) on the vectors (directory, argument 2).
import json, os, sys, textwrap

page = open(sys.argv[1], encoding="utf-8").read()
code = page.split("<!-- python -->")[1].split("<!-- /python -->")[0]
spec = {}
exec(textwrap.dedent(code), spec)


def load(name):
    return json.load(open(os.path.join(sys.argv[2], name), encoding="utf-8"))


statements, acks = load("statement.json"), load("acknowledgement.json")
keys = {k["name"]: k for k in statements["keys"]}
device = spec["Device"](bytes.fromhex(keys["device"]["seed"]), statements["chain"])
stream = device.stream("temperature")
done = 0
for v in statements["valid"]:
    if "inputs" in v:
        continue
    media = int(v["media"]) if v["media"].isdigit() else v["media"]
    readings = [(int(r["time"]), bytes.fromhex(r["content"])) for r in v["readings"]]
    message, digest = device.statement(stream, int(v["first"]), media, readings)
    assert message.hex() == v["bytes"] and digest.hex() == v["digest"], v["name"]
    done += 1

example = statements["valid"][0]


def believed(message):
    """The outcomes of an acknowledgement, None where it is not believed."""
    try:
        return spec["acknowledged"](message, statements["chain"], [bytes.fromhex(keys["bridge"]["public"])])
    except Exception:
        return None


def answers(message):
    """The outcomes that a device which waits for the example believes."""
    found = believed(message) or []
    kept = (stream, int(example["first"]), len(example["readings"]), bytes.fromhex(example["digest"]))
    return [list(place) for about, *place in found if about == kept]


for v in acks["valid"]:
    want = [[int(o["code"]), int(o["height"]), int(o["index"])] for o in v["outcomes"] if o["answers_the_example"]]
    assert answers(bytes.fromhex(v["bytes"])) == want, v["name"]
    done += 1
for v in acks["invalid"]:
    assert believed(bytes.fromhex(v["bytes"])) is None, v["name"]
    done += 1
print(done)
