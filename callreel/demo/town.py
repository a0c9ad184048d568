"""Who works where in the demo. Everybody is invented; numbers are from the ranges for fiction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the directory."""

    extension: str
    name: str
    group: str


@dataclass(frozen=True, slots=True)
class DemoSite:
    """A site with its own datasource and its own voicelocation."""

    id: str
    name: str
    datasource: str
    voicelocation: str
    main_number: str
    people: tuple[Person, ...]


MANCHESTER = DemoSite(
    id="manchester",
    name="Manchester",
    datasource="1",
    voicelocation="1",
    main_number="01614960100",
    people=(
        Person("2101", "Alice Thornby", "Sales"),
        Person("2102", "Brian Okello", "Sales"),
        Person("2103", "Colin Farrow", "Accounts"),
        Person("2104", "Dilys Penhallow", "Accounts"),
        Person("2105", "Ewan Strachan", "Service"),
        Person("2106", "Farah Nazari", "Service"),
        Person("2107", "Grace Ibbotson", "Service"),
    ),
)
BRISTOL = DemoSite(
    id="bristol",
    name="Bristol",
    datasource="2",
    voicelocation="2",
    main_number="01632960200",
    people=(
        Person("3101", "Howard Tilley", "Support"),
        Person("3102", "Irene Cordeiro", "Support"),
        Person("3103", "Jonas Weidling", "Support"),
        Person("3104", "Karen Oduya", "Reception"),
        Person("3105", "Liam Vasey", "Reception"),
        Person("3106", "Martin Hale", "Warehouse"),
        Person("3107", "Nerys Caddick", "Warehouse"),
    ),
)
SITES = (MANCHESTER, BRISTOL)
