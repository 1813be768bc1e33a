"""BibTeX entries of the papers whose recipes Attar has."""

_PAPERS = {
    "2406.08464": (
        "Magpie: Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with Nothing",
        "Zhangchen Xu and Fengqing Jiang and Luyao Niu and Yuntian Deng and Radha Poovendran and Yejin Choi"
        " and Bill Yuchen Lin",
        2024,
    ),
    "2312.15685": (
        "What Makes Good Data for Alignment? A Comprehensive Study of Automatic Data Selection in Instruction Tuning",
        "Wei Liu and Weihao Zeng and Keqing He and Yong Jiang and Junxian He",
        2023,
    ),
    "2510.06670": (
        "PiKa: Expert-Level Synthetic Datasets for Post-Training Alignment from Scratch",
        "Shangjian Yin and Shining Liang and Wenbiao Ding and Yuli Qian and Zhouxing Shi and Hongzhi Li and Yutao Xie",
        2025,
    ),
    "2412.04305": (
        "ALMA: Alignment with Minimal Annotation",
        "Michihiro Yasunaga and Leonid Shamis and Chunting Zhou and Andrew Cohen and Jason Weston and Luke Zettlemoyer"
        " and Marjan Ghazvininejad",
        2024,
    ),
}


def arxiv_id(paper: str | None) -> str | None:
    """The number in `arXiv:2406.08464`."""
    return paper.partition(":")[2].strip() or None if paper and paper.lower().startswith("arxiv:") else None


def bibtex(number: str) -> str | None:
    """The BibTeX entry of a paper; None if it is not listed here."""
    if number not in _PAPERS:
        return None
    title, authors, year = _PAPERS[number]
    name = f"{authors.split(' and ')[0].split()[-1]}{year}{title.split(':')[0].split()[0]}".lower()
    fields = {"title": f"{{{title}}}", "author": authors, "year": str(year), "eprint": number, "archivePrefix": "arXiv"}
    lines = ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items())
    return f"@misc{{{name},\n{lines}\n}}"
