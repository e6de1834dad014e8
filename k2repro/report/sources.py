"""Who states a claim: the five kinds of sources, named for a reader, with links."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A kind of source: its word in `claims.toml`, what it is, and where it can be read."""

    word: str
    name: str
    what: str
    links: tuple[tuple[str, str], ...]


SOURCES = (
    Source(
        "paper",
        "the paper",
        "by those who made K2-Think: its tables, figures and captions, as screenshots and quotes show them",
        (("arXiv 2509.07604", "https://arxiv.org/abs/2509.07604"),),
    ),
    Source(
        "model card",
        "the model card",
        "the page on which the weights are released",
        (("LLM360/K2-Think", "https://huggingface.co/LLM360/K2-Think"),),
    ),
    Source(
        "repository",
        "the repositories",
        "released code, data and configuration files",
        (
            ("K2-Think-SFT", "https://github.com/MBZUAI-IFM/K2-Think-SFT"),
            ("K2-Think-Inference", "https://github.com/MBZUAI-IFM/K2-Think-Inference"),
        ),
    ),
    Source(
        "critique",
        "the critique",
        "a reanalysis by ETH Zurich's SRI Lab",
        (("sri.inf.ethz.ch/blog/k2think", "https://www.sri.inf.ethz.ch/blog/k2think"),),
    ),
    Source(
        "article",
        "the article",
        "K2Think.in: a web article by others, not by the authors of the system",
        (("k2think.in", "https://k2think.in/"),),
    ),
)
