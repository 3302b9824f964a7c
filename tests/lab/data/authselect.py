#!/usr/bin/python3
# What authselect(8) does for a join and a leave, on Debian, which has no authselect: keeps the choice, and writes
# nsswitch.conf and the PAM stacks from a profile's templates, with {include if}, {exclude if} and {if} as
# authselect-profiles(5) has them, as far as our profile uses them.
import os
import re
import sys

PROFILES = ["/usr/share/authselect/vendor", "/usr/share/authselect/default"]
CHOICE = "/etc/authselect/authselect.conf"
FILES = {"nsswitch.conf": "/etc/nsswitch.conf"}
FILES.update({name: "/etc/pam.d/" + name for name in ("system-auth", "password-auth", "postlogin")})


def folder(profile):
    for path in PROFILES:
        if os.path.isdir(os.path.join(path, profile)):
            return os.path.join(path, profile)
    sys.exit("[error] Profile [%s] was not found" % profile)


def templates(profile):
    for name in FILES:
        with open(os.path.join(folder(profile), name)) as file:
            yield name, file.read()


def holds(condition, features):
    words = re.match(r'(not )?"([^"]+)"$', condition)
    return (words.group(2) in features) != bool(words.group(1))


def expand(text, features):
    lines = []
    for line in text.splitlines():
        kept = re.search(r"\s*\{(include|exclude) if ([^}]+)\}\s*$", line)
        if kept:
            if holds(kept.group(2), features) != (kept.group(1) == "include"):
                continue
            line = line[: kept.start()]
        lines.append(re.sub(r"\{if ((?:not )?\"[^\"]+\"):([^}]*)\}",
                            lambda found: found.group(2) if holds(found.group(1), features) else "", line))
    text = "\n".join(lines) + "\n"
    assert "{" not in text, text
    return text


def known(profile):
    return sorted({name for _, text in templates(profile) for name in re.findall(r'"(with[-a-z0-9]+)"', text)})


def choose(profile, features):
    unknown = set(features) - set(known(profile))
    if unknown:
        sys.exit("[error] Unknown profile feature %s" % unknown)
    for name, text in templates(profile):
        with open(FILES[name], "w") as file:
            file.write(expand(text, features))
    os.makedirs(os.path.dirname(CHOICE), exist_ok=True)
    with open(CHOICE, "w") as file:
        file.write(" ".join([profile] + features) + "\n")


verb, words = sys.argv[1], sys.argv[2:]
if verb == "current":
    if not os.path.exists(CHOICE):
        print("No existing configuration detected.")
        sys.exit(2)
    print(open(CHOICE).read().strip())
elif verb == "list-features":
    print("\n".join(known(words[0])))
elif verb == "select":
    choose(words[0], words[1:])
elif verb == "apply-changes":
    profile, *features = open(CHOICE).read().split()
    choose(profile, features)
else:
    sys.exit("[error] Unknown command")
