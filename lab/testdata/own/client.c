// A client in the usual forms: client MODE ADDRESS PORT. It sends a line,
// prints the answer, waits for more in the way that MODE says, and ends with
// status 3 and errno's name once it is told of its server's end.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int fd;

static void gone(const char *call, ssize_t n)
{
	fprintf(stderr, "%s: %s\n", call, n == 0 ? "end of file" : strerror(errno));
	exit(3);
}

static void *reader(void *unused)
{
	char buf[512];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		fwrite(buf, 1, n, stdout), fflush(stdout);
	gone("recv", n);
	return unused;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	char buf[512];
	ssize_t n;

	if (argc != 4 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons(atoi(argv[3]));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		gone("connect", -1);
	if (write(fd, "hello\n", 6) != 6 || read(fd, buf, sizeof(buf)) != 6)
		gone("hello", -1);
	puts("connected");
	fflush(stdout);
	if (!strcmp(argv[1], "fork")) {
		int status;
		pid_t child = fork();

		if (child == 0)
			reader(0);
		waitpid(child, &status, 0);
		return WEXITSTATUS(status);
	}
	if (!strcmp(argv[1], "threads")) {
		pthread_t t;

		pthread_create(&t, 0, reader, 0);
		pthread_join(t, 0);
		return 0;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (!strcmp(argv[1], "epoll")) {
		int set = epoll_create1(0);
		struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = 0x1234567890abcdef};

		epoll_ctl(set, EPOLL_CTL_ADD, fd, &ev);
		for (;;) {
			epoll_wait(set, &ev, 1, -1);
			if ((n = read(fd, buf, sizeof(buf))) == 0 || (n < 0 && errno != EAGAIN))
				gone("read", n);
		}
	}
	if (!strcmp(argv[1], "poll")) {
		struct pollfd p = {fd, POLLIN, 0};

		for (;;) {
			struct iovec v = {buf, sizeof(buf)};

			poll(&p, 1, -1);
			if ((n = readv(fd, &v, 1)) == 0 || (n < 0 && errno != EAGAIN))
				gone("readv", n);
		}
	}
	if (!strcmp(argv[1], "select"))
		for (;;) {
			fd_set set;
			struct iovec v = {buf, sizeof(buf)};
			struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

			FD_ZERO(&set);
			FD_SET(fd, &set);
			select(fd + 1, &set, 0, 0, 0);
			if ((n = recvmsg(fd, &m, 0)) == 0 || (n < 0 && errno != EAGAIN))
				gone("recvmsg", n);
		}
	if (!strcmp(argv[1], "ignore")) { // it is told, and does nothing about it
		fcntl(fd, F_SETFL, 0);
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		pause();
	}
	return 2;
}
