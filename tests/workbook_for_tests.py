"""Write a small Excel workbook: the parts of the format that a reader needs, and no more."""

from xml.sax.saxutils import escape
from zipfile import ZipFile

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def write_workbook(path, **sheets):
    """Each sheet is a list of rows of numbers, texts, truth values and None."""
    names = dict(enumerate(sheets, 1))
    parts = {"/xl/workbook.xml": f"{_KIND}.sheet.main+xml"}
    parts |= {f"/xl/worksheets/sheet{n}.xml": f"{_KIND}.worksheet+xml" for n in names}
    kinds = "".join(f'<Override PartName="{part}" ContentType="{kind}"/>' for part, kind in parts.items())
    relations = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    with ZipFile(path, "w") as out:
        out.writestr("[Content_Types].xml", f'<Types xmlns="{_PACKAGE}/content-types">{relations}{kinds}</Types>')
        out.writestr("_rels/.rels", _relations({1: ("officeDocument", "xl/workbook.xml")}))
        out.writestr("xl/_rels/workbook.xml.rels", _relations({n: ("worksheet", f"worksheets/sheet{n}.xml") for n in names}))
        listed = "".join(f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}"/>' for n, name in names.items())
        out.writestr("xl/workbook.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>')
        for n, name in names.items():
            rows = "".join(
                f'<row r="{y}">{"".join(_cell(x, y, value) for x, value in enumerate(row))}</row>'
                for y, row in enumerate(sheets[name], 1)
            )
            out.writestr(f"xl/worksheets/sheet{n}.xml", f'<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>')


def _relations(targets):
    lines = "".join(f'<Relationship Id="rId{n}" Type="{_OFFICE}/{kind}" Target="{to}"/>' for n, (kind, to) in targets.items())
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{lines}</Relationships>'


def _cell(x, y, value):
    place = f"{chr(ord('A') + x)}{y}"
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'
