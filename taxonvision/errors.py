"""Failures that a user can act on, each one clear sentence; all else that is raised is a bug."""


class UserError(Exception):
    """The input cannot be used as it is (exit code 2). The message says what to do."""


class GateRefusedError(Exception):
    """A check of quality said no (exit code 3). The message gives the figures."""


class AlreadyDone(Exception):  # noqa: N818 - no error: the work asked for stands there already
    """The output was made before by the same command, inputs and flags (exit code 0)."""


class RequeueError(Exception):
    """The work is checkpointed and the same command goes on with it (exit code 85)."""
