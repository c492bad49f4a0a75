/*
 * Puts cio-gdb.py where gdb looks for it: in the program itself. The section belongs to the debug
 * information, so it is never loaded, and strip takes it away. Included by a file that no program
 * can be without; the build says where the script lies.
 */
#ifndef CIO_OS_GDB_H
#define CIO_OS_GDB_H

#ifdef CIO_GDB_SCRIPT
__asm__(".pushsection \".debug_gdb_scripts\", \"MS\", %progbits, 1\n"
        ".byte 4\n" /* the text of a Python script */
        ".ascii \"cio-gdb.py\\n\"\n"
        ".incbin \"" CIO_GDB_SCRIPT "\"\n"
        ".byte 0\n"
        ".popsection\n");
#endif

#endif
