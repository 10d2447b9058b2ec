"""All checks in the order in which they are run and shown."""

from __future__ import annotations

from ringrift.cli.checks import compute, installation, leftovers, machine, root, services

ALL_CHECKS = (
    *installation.CHECKS,
    *root.CHECKS,
    *leftovers.CHECKS,
    *services.CHECKS,
    *machine.CHECKS,
    *compute.CHECKS,
)
