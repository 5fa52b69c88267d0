"""Why a network is slow, from its profile: findings, each with its cost and its remedy."""

from latlab.profiling.findings.diagnosis import findings
from latlab.profiling.findings.finding import Finding, FindingKind, Processor

__all__ = ["Finding", "FindingKind", "Processor", "findings"]
