// error: global function 'swap' requires that 'AudioFrame' conform to 'Escapable'
import ModuleKit

func keep(_ frame: inout AudioFrame, _ kept: inout AudioFrame) { swap(&frame, &kept) }
