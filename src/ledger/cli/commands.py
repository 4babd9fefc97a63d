"""What ``ledger`` can be asked to do. Commands are imported when they run, so that ``--help`` is quick."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from cyclopts import App, Parameter

SAID_ALREADY: Final = (None, False, "", ())
"""Defaults that say no more than that an option was left out."""


def _default(value: object) -> str | None:
    return None if value in SAID_ALREADY else str(value)


app: Final = App(
    name="ledger",
    help="A decision ledger: machines ask, people decide, anyone can prove it.",
    version=lambda: version("decision-ledger"),
    default_parameter=Parameter(negative=(), show_default=_default),
)
key: Final = App(name="key", help="Issue, list and revoke API keys of service accounts.")
hold: Final = App(
    name="hold", help="Legal holds: nothing of whom one stands on is erased; also beside a running service."
)
user: Final = App(
    name="user", help="Accounts: add, list, place and deactivate, also beside a running service."
)
notary: Final = App(name="notary", help="See how the log is sealed, change its key, go on after a halt.")
projections: Final = App(
    name="projections", help="See how read models are doing, and mend them, also beside a running service."
)
webhooks: Final = App(
    name="webhooks",
    help="See how webhooks are doing, and send dead letters again, also beside a running service.",
)

kind: Final = App(name="kind", help="See what sorts of items can be submitted; administrators register them.")
policy: Final = App(
    name="policy", help="See under which terms people decide; two administrators change them, over HTTP."
)
witness: Final = App(
    name="witness", help="Remember the checkpoints of others, so that no log can tell two stories."
)
audit: Final = App(
    name="audit", help="Verify what the ledger published, without asking it, and take out what to verify."
)

app.command("ledger.cli.serve:serve", name="serve", help="Run the service: HTTP, projections, reactions.")
app.command("ledger.cli.migrate:migrate", name="migrate", help="Bring the database to this release's shape.")
app.command(user)
app.command(key)
app.command(hold)
app.command(notary)
app.command(projections)
app.command(webhooks)
app.command(kind)
app.command(policy)
app.command(witness)
app.command(audit)
app.command(
    "ledger.cli.importing:import_file",
    name="import",
    help="Submit every line of a file to a running service; may be repeated and resumed.",
)
app.command(
    "ledger.cli.prototype.command:import_prototype",
    name="import-prototype",
    help="Import a dump of the prototype, as what it was; may be repeated and resumed.",
)
app.command(
    "ledger.cli.erasing:erase",
    name="erase",
    help="Ask for somebody's erasure, which an administrator approves over HTTP.",
)
app.command("ledger.cli.doctor:doctor", name="doctor", help="Check this installation and say what to do.")
app.command(
    "ledger.cli.demo.command:demo", name="demo", help="Play the whole story on a throw-away instance."
)

hold.command("ledger.cli.erasing:place", name="place", help="Let nothing of somebody be erased.")
hold.command("ledger.cli.erasing:lift", name="lift", help="Lift one legal hold.")
hold.command("ledger.cli.erasing:show", name="list", help="Show the legal holds that stand.")
key.command("ledger.cli.key:issue", name="issue", help="Issue a key for a service account; shown once.")
key.command("ledger.cli.key:show", name="list", help="Show the keys that were not revoked.")
key.command("ledger.cli.key:revoke", name="revoke", help="Take a key away; it stops working at once.")
audit.command(
    "ledger.cli.audit.command:verify", name="verify", help="Verify a bundle, alone and offline; or live rows."
)
audit.command("ledger.cli.audit.command:check", name="check", help="Check a proof that an entry was sealed.")
notary.command("ledger.cli.notary:status", name="status", help="Show what is sealed, under which key.")
notary.command("ledger.cli.notary:rotate_key", name="rotate-key", help="Sign with a new key from now on.")
notary.command(
    "ledger.cli.notary:adopt",
    name="adopt",
    help="Take what the database holds as the log after a halt; say why.",
)
audit.command("ledger.cli.audit.monitor:monitor", name="monitor", help="Watch a log for good; notice a fork.")
audit.command(
    "ledger.cli.exporting.export:export",
    name="export",
    help="Write what is sealed into a new folder, with all that is needed to verify it.",
)
audit.command(
    "ledger.cli.exporting.prove:prove", name="prove", help="Write the proof that one event is in the log."
)
audit.command(
    "ledger.cli.evidence.command:evidence",
    name="evidence",
    help="Write all about one decision into a new folder, for people and for programs.",
)
audit.command("ledger.cli.audit.log:log", name="log", help="Show what happened, from the database.")
kind.command("ledger.cli.policy:kinds", name="list", help="Show the kinds there are and were.")
policy.command("ledger.cli.policy:policies", name="list", help="Show the policy of each kind.")
policy.command("ledger.cli.policy:policy", name="show", help="Show every version of a kind's policy.")
user.command("ledger.cli.user:add", name="add", help="Let somebody in.")
user.command("ledger.cli.user:show", name="list", help="Show everybody.")
user.command("ledger.cli.user:deactivate", name="deactivate", help="Keep somebody out; their sessions end.")
user.command("ledger.cli.user:groups", name="groups", help="Put somebody into groups.")
user.command("ledger.cli.user:lead", name="lead", help="Let an analyst lead others, or no more.")
user.command("ledger.cli.user:forget_factor", name="forget-factor", help="Take a lost second factor away.")

projections.command("ledger.cli.projections:status", name="status", help="Show how each is doing.")
projections.command(
    "ledger.cli.projections:failures", name="failures", help="List the events that could not be applied."
)
projections.command(
    "ledger.cli.projections:show", name="show", help="Show a failure, its event and its traceback."
)
projections.command(
    "ledger.cli.rebuilding:reset", name="reset", help="Make a projection anew without looking back."
)
projections.command(
    "ledger.cli.rebuilding:rebuild",
    name="rebuild",
    help="Make a projection anew beside its rows, compare, and switch; cancel; roll back.",
)
projections.command(
    "ledger.cli.rebuilding:verify", name="verify", help="Prove that projections are complete and right."
)
projections.command(
    "ledger.cli.mending:retry", name="retry", help="Try one failure, one sequence or all of them again."
)
projections.command("ledger.cli.mending:skip", name="skip", help="Never apply a failure's event; say why.")
projections.command("ledger.cli.mending:fix", name="fix", help="Take a failure as mended by hand; say why.")
projections.command("ledger.cli.mending:replay", name="replay", help="Fold a range of positions anew.")
projections.command("ledger.cli.mending:pause", name="pause", help="Let a projection stand where it is.")
projections.command("ledger.cli.mending:resume", name="resume", help="Let a projection go on.")

webhooks.command("ledger.cli.webhooks:show", name="list", help="Show the webhooks and how they are doing.")
webhooks.command("ledger.cli.webhooks:dead", name="dead", help="List messages that were given up.")
webhooks.command("ledger.cli.webhooks:replay", name="replay", help="Send what was given up again.")

witness.command("ledger.cli.witness:serve", name="serve", help="Serve a witness: cosign what continues.")


def load(words: Sequence[str]) -> None:
    """Import the command that ``words`` ask for; its own page of help tells all that is written about it."""
    _, path, _ = app.parse_commands(words)
    for one in path[1:]:
        if one.default_command is not None and one.name[0] not in app.help_flags:
            one.help = None  # what stands above is for lists; without it the docstring is told
