"""What the processor or GPU can do."""

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies matrices in bfloat16; where it does not, autocast would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") or capabilities.get("bf16"))
