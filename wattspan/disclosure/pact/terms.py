"""`Terms`: what an issuer adds to its figures in PACT: ids, classes, validity, what is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wattspan.config import DisclosureSection

SCHEMA_FILE: Final = "llm-inference-disclosure-1.0.schema.json"
"""The schema of the extension, as it is shipped and served."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything has a default that follows from the disclosure."""

    company_ids: tuple[str, ...] = ()
    """URNs of the issuer; none: urn:pact:DOMAIN:company-id:DOMAIN."""
    product_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """URNs by feature key; absent: urn:pact:DOMAIN:supplier-id:SKU, or the feature where it has no SKU."""
    classifications: tuple[str, ...] = ("urn:cpc:83152",)
    """UN CPC 2.1, application service provisioning."""
    standards: tuple[str, ...] = ()
    """Cross-sectoral standards that were followed beside the one the method names."""
    characterization: tuple[str, ...] = ("AR5",)
    """IPCC reports whose warming potentials the factors rest on."""
    validity_months: int = 12
    """From the end of the reference period; at most 36."""
    exempted_percent: str = ""
    """The issuer's own estimate of what is left out, with its reason; "": `exempted.exempted` makes one."""
    exempted_reason: str = ""
    schema_url: str = ""
    """Where anybody can read the extension's schema; "": https://DOMAIN/schema/ and the name of the file."""
    documentation_url: str = ""
    """A page about the method; "": none is named."""


def terms_of(section: DisclosureSection | None) -> Terms:
    """The terms that a configuration gives; the defaults where it has no section of disclosures."""
    if section is None:
        return Terms()
    given = section.pact
    own = given.exempted
    return Terms(
        company_ids=given.company_ids,
        product_ids={key: feature.product_ids for key, feature in section.features.items()},
        classifications=given.classifications,
        standards=given.standards,
        characterization=given.characterization,
        validity_months=given.validity_months,
        exempted_percent=format(own.percent, "f") if own else "",
        exempted_reason=own.reason if own else "",
        schema_url=given.schema_url or "",
        documentation_url=given.documentation_url or "",
    )
