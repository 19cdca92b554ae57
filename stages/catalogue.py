"""Every source, stage, exchange and sink that a recipe may name."""

from __future__ import annotations

from typing import Any

from curation.catalogue import Catalogue
from stages.caption.recaption import Recaption
from stages.deliver.shards import WriteShards
from stages.encode.alignment import ScoreAlignment
from stages.encode.copies import DescribeCopies
from stages.fetch.decode import DecodeImages
from stages.fetch.images import FetchImages
from stages.fetch.read_img2dataset import ReadImg2dataset
from stages.fingerprint.images import Fingerprint
from stages.select.balance_groups import BalanceGroups
from stages.select.balance_metadata import BalanceMetadata
from stages.select.decontaminate import Decontaminate
from stages.select.deduplicate import Deduplicate
from stages.select.deduplicate_semantic import DeduplicateSemantic
from stages.select.deduplicate_text import DeduplicateText
from stages.select.limit_repeats import LimitRepeats
from stages.select.rare_tokens import RareTokens
from stages.select.select import Select
from stages.sources.img2dataset_output import Img2datasetOutput
from stages.sources.url_table import UrlTable
from stages.text.blocklist import TextBlocklist
from stages.text.grammar import TextGrammar
from stages.text.prose import TextProse
from stages.text.rules import TextRules


def _by_kind(*classes: Any) -> dict[str, Any]:
    return {step.Config.model_fields["kind"].default: step for step in classes}


CATALOGUE = Catalogue(
    sources=_by_kind(UrlTable, Img2datasetOutput),
    stages=_by_kind(
        *(TextRules, TextProse, TextGrammar, TextBlocklist),
        *(FetchImages, ReadImg2dataset, DecodeImages, Fingerprint, ScoreAlignment, DescribeCopies, Recaption),
    ),
    exchanges=_by_kind(
        *(Deduplicate, DeduplicateSemantic, DeduplicateText, LimitRepeats, RareTokens),
        *(Decontaminate, Select, BalanceMetadata, BalanceGroups),
    ),
    sinks=_by_kind(WriteShards),
)
