"""llvmlite, in one file: from the text of a module to the address of a function."""

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

from tinygrad_bp.compiler import cache
from tinygrad_bp.errors import CompileError

ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
# On this code, which has no branches and explicit vectors, as fast as all of -O2, in half the time;
# and, other than the ready-made pipeline, they leave no memory behind in llvmlite.
PASSES = (
    "always_inliner", "simplify_cfg", "loop_simplify", "lcssa", "loop_rotate", "loop_unroll",
    "new_gvn", "simplify_cfg",
)  # fmt: skip
MISSING = "pip install 'tinygrad_bp[fast]'"


class Machine:
    """The processor of this computer, as LLVM knows it."""

    _only: "Machine | None" = None
    _lock = threading.RLock()  # LLVM's global context serves one thread at a time

    def __init__(self) -> None:
        try:
            from llvmlite import __version__, binding
        except ImportError as error:
            raise CompileError(
                "no llvmlite",
                where="the native engine",
                expected="llvmlite, which makes machine code",
                repair=f"It comes with {MISSING}.",
            ) from error
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        self.binding: Any = binding
        self.cpu: str = binding.get_host_cpu_name()
        self.features: str = binding.get_host_cpu_features().flatten()
        self.triple: str = binding.get_process_triple()
        target = binding.Target.from_triple(self.triple)
        self.target = target.create_target_machine(
            cpu=self.cpu, features=self.features, opt=3, reloc="pic", codemodel="small"
        )
        self.tile = (12, 128) if "+avx512f" in self.features else (6, 64)  # sums in registers
        self.options = binding.create_pipeline_tuning_options(speed_level=2)
        self.builder = binding.create_pass_builder(self.target, self.options)
        self.version = f"{__version__} {binding.llvm_version_info}"

    @classmethod
    def get(cls) -> "Machine":
        """Return the machine, which is made when it is first needed."""
        with cls._lock:
            if cls._only is None:
                cls._only = cls()
            return cls._only

    def header(self) -> list[str]:
        """Return what every module begins with."""
        return [
            f'target datalayout = "{self.target.target_data}"',
            f'target triple = "{self.triple}"',
        ]

    def compile(self, text: str, entries: Sequence[str]) -> "Code":
        """Return the machine code of a module, from the cache or made now."""
        with self._lock:
            key = "\n".join([self.version, self.cpu, self.features, text])
            image = cache.fetch(key, lambda: self.target.emit_object(self.optimized(text)))
            builder = self.binding.JITLibraryBuilder().add_object_img(image).add_current_process()
            for name in entries:
                builder.export_symbol(name)
            linker = self.binding.create_lljit_compiler(self.target)  # of its own: it can be freed
            tracker = builder.link(linker, "program")
            return Code(linker, tracker, [ENTRY(tracker[name]) for name in entries])

    def optimized(self, text: str) -> Any:
        """Parse, verify and optimize a module; its vectors are explicit already."""
        try:
            module = self.binding.parse_assembly(text)
            module.verify()
        except RuntimeError as error:
            raise CompileError(
                f"code that LLVM refuses ({error})",
                where="the native engine",
                expected="a module that LLVM accepts",
                repair='This is a fault of the compiler; engine="numpy" does without it.',
            ) from error
        passes = self.binding.create_new_module_pass_manager()
        for name in PASSES:
            getattr(passes, f"add_{name}_pass")()
        passes.run(module, self.builder)
        return module

    def assembly(self, text: str) -> str:
        """Return a module in the language of the processor."""
        with self._lock:
            return str(self.target.emit_assembly(self.optimized(text)))


class Code:
    """Linked machine code: alive as long as this object is."""

    def __init__(self, linker: Any, tracker: Any, entries: list[Any]) -> None:
        self._linker, self._tracker, self.entries = linker, tracker, entries

    def __del__(self) -> None:
        self._tracker.close()
        self._linker.close()
