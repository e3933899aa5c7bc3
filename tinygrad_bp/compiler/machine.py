"""llvmlite, in one file: from the text of a module to the address of a function."""

import ctypes
import os
import threading
from collections.abc import Sequence
from typing import Any

from tinygrad_bp.compiler import cache
from tinygrad_bp.errors import CompileError

ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
# On this code, which has no branches and explicit vectors, as fast as all of -O2, in half the time.
PASSES = (
    "always_inliner", "simplify_cfg", "loop_simplify", "lcssa", "loop_rotate", "loop_unroll",
    "new_gvn", "simplify_cfg",
)  # fmt: skip
MISSING = "pip install 'tinygrad_bp[fast]'"


class Machine:
    """The processor of this computer, as LLVM knows it."""

    _only: "Machine | None" = None
    lock = threading.RLock()  # the target and the passes serve one thread at a time

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
        self.header = [  # what every module begins with
            f'target datalayout = "{self.target.target_data}"',
            f'target triple = "{self.triple}"',
        ]
        self.tile = (12, 128) if "+avx512f" in self.features else (6, 64)  # sums in registers
        self.passes = Passes(binding, self.target)
        self.version = f"{__version__} {binding.llvm_version_info}"

    @classmethod
    def get(cls) -> "Machine":
        """Return the machine, which is made when it is first needed."""
        with cls.lock:
            if cls._only is None:
                cls._only = cls()
            return cls._only

    def compile(self, text: str, entries: Sequence[str]) -> "Code":
        """Return the machine code of a module, from the cache or made now."""
        with self.lock:
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
        try:  # a context of its own, which goes with the module: the global one keeps all it saw
            module = self.binding.parse_assembly(text, self.binding.create_context())
            module.verify()
        except RuntimeError as error:
            raise CompileError(
                f"code that LLVM refuses ({error})",
                where="the native engine",
                expected="a module that LLVM accepts",
                repair='This is a fault of the compiler; engine="numpy" does without it.',
            ) from error
        self.passes.run(module)
        return module

    def assembly(self, text: str) -> str:
        """Return a module in the language of the processor."""
        with self.lock:
            return str(self.target.emit_assembly(self.optimized(text)))


class Passes:
    """The passes over a module, used again and again: llvmlite never frees a pass manager.

    Nor does it free the callbacks of a builder: each run adds one, of 32 bytes, that all later runs
    call, and a new builder takes 1.5 KB for ever. A new one from time to time bounds both.
    """

    RUNS = 128  # with one builder: about 50 bytes a run, and no run calls more callbacks

    def __init__(self, binding: Any, target: Any) -> None:
        self._binding, self._target, self._left = binding, target, 0
        self._options = binding.create_pipeline_tuning_options(speed_level=2)
        self._manager = binding.create_new_module_pass_manager()
        for name in PASSES:
            getattr(self._manager, f"add_{name}_pass")()

    def run(self, module: Any) -> None:
        """Optimize a module in place."""
        if not self._left:
            self._builder = self._binding.create_pass_builder(self._target, self._options)
            self._left = self.RUNS
        self._left -= 1
        self._manager.run(module, self._builder)


class Code:
    """Linked machine code: alive as long as this object is."""

    def __init__(self, linker: Any, tracker: Any, entries: list[Any]) -> None:
        self._linker, self._tracker, self.entries = linker, tracker, entries
        self._lock = Machine.lock

    def __del__(self) -> None:
        with self._lock:
            self._tracker.close()
            self._linker.close()


if hasattr(os, "register_at_fork"):  # a fork waits for LLVM: the child could never end its work
    os.register_at_fork(
        before=Machine.lock.acquire,
        after_in_parent=Machine.lock.release,
        after_in_child=Machine.lock.release,
    )
