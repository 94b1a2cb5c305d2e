/* A disk that fails, for a process that loads this library with LD_PRELOAD:
 *
 *   DISK_FLUSH_FAILS=path       every flush fails with EIO while there is a file at path
 *   DISK_FLUSH_FAILS_ONCE=n     flush number n fails with EIO
 *   DISK_FULL=path              every write to a regular file fails with ENOSPC while there is a file at path
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long flushes;

static int on(const char *variable) {
    const char *path = getenv(variable);
    return path && access(path, F_OK) == 0;
}

static int flush(long call, int fd) {
    const char *once = getenv("DISK_FLUSH_FAILS_ONCE");
    long number = atomic_fetch_add(&flushes, 1) + 1;
    if ((once && number == atol(once)) || on("DISK_FLUSH_FAILS")) {
        errno = EIO;
        return -1;
    }
    return syscall(call, fd);
}

int fsync(int fd) { return flush(SYS_fsync, fd); }
int fdatasync(int fd) { return flush(SYS_fdatasync, fd); }

static int full(int fd) {
    struct stat file;
    return on("DISK_FULL") && fstat(fd, &file) == 0 && S_ISREG(file.st_mode);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (full(fd)) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    if (full(fd)) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, count, offset);
}
