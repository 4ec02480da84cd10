"""What the numbers were measured on."""

import os
import platform
from importlib.metadata import version
from typing import Any

import psutil

from ops.jars import KAFKA_VERSION
from ops.postgres_server import POSTGRES_VERSION
from streams.io import clock

PACKAGES = ("callstream", "faust-streaming", "aiokafka", "rocksdict", "asyncpg", "pydantic", "uvloop")


def machine() -> dict[str, Any]:
    """Cores, memory, versions, date and how busy the machine was."""
    return {
        "date": clock.now().strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count(),
        "processor": processor(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "postgresql": POSTGRES_VERSION,
        "packages": {name: version(name) for name in PACKAGES},
        "load": [round(each, 2) for each in os.getloadavg()],
    }


def processor() -> str:
    """The processor's name, where the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    except OSError:
        return platform.processor() or "unknown"
