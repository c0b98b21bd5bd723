"""Makes the graphs of this folder, as exporters write them, and what onnx.reference computes with them.

pip install onnx numpy; python generate.py
"""
import os
import numpy as np, onnx
from onnx import helper as h, numpy_helper as nh, TensorProto as T
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
DIR=os.path.dirname(os.path.abspath(__file__))
rng=np.random.default_rng(1)
def W(*s,scale=None):
    fan=np.prod(s[1:]) if len(s)>1 else 1
    return (rng.standard_normal(s)*(scale or 1/np.sqrt(fan))).astype(np.float32)
class G:
    def __init__(s,opset=17): s.n=[];s.i=[];s.k=0;s.opset=opset
    def c(s,a,name=None):
        s.k+=1; name=name or f'c{s.k}'
        s.i.append(nh.from_array(np.asarray(a),name)); return name
    def o(s,op,*ins,out=None,nout=1,**at):
        s.k+=1
        outs=[out] if out else [f'{op}_{s.k}_{j}' for j in range(nout)]
        s.n.append(h.make_node(op,list(ins),outs,name=f'/{op}_{s.k}',**at))
        return outs[0] if nout==1 else outs
    def save(s,name,dims,y,x,layout,lengths=None):
        # dims: list of int/str
        s.n.append(h.make_node('Identity',[y],['out']))
        others=[] if lengths is None else [h.make_tensor_value_info('lengths',h.np_dtype_to_tensor_dtype(lengths.dtype),['B'])]
        g=h.make_graph(s.n,'g',[h.make_tensor_value_info('x',T.FLOAT,dims)]+others,[h.make_tensor_value_info('out',T.FLOAT,None)],s.i)
        m=h.make_model(g,opset_imports=[h.make_opsetid('',s.opset)])
        onnx.save(m,f'{DIR}/{name}.onnx')
        # onnx.reference has the operators of quantization in their newer versions only; these mean the same.
        if any('QuantizeLinear' in n.op_type or 'QLinear' in n.op_type for n in s.n) and s.opset<21:
            m=h.make_model(g,opset_imports=[h.make_opsetid('',21)])
        ref=ReferenceEvaluator(m,new_ops=[BatchNormalization,MaxPool,AveragePool]).run(None,{'x':x} if lengths is None else {'x':x,'lengths':lengths})[0]
        # rows for the network
        f={'btc':lambda x:x[0],'bct':lambda x:x[0].T,'b1tf':lambda x:x[0,0],'b1ft':lambda x:x[0,0].T,'bc':lambda x:x,'chw':lambda x:x[0].reshape(x.shape[1],-1).T,'raw':lambda x:x.reshape(-1,1)}[layout](x)
        with open(f'{DIR}/{name}.txt','w') as fo:
            fo.write(f'{f.shape[0]} {f.shape[1]}\n'); fo.write(' '.join(map(repr,np.asarray(f,float).ravel().tolist()))+'\n')
            fo.write(' '.join(map(repr,np.asarray(ref,float).ravel().tolist()))+'\n')
        print(name,ref.shape)
def bn(g,x,c,op='BatchNormalization'):
    return g.o(op,x,g.c(1+0.2*W(c,scale=1)),g.c(W(c,scale=.3)),g.c(W(c,scale=.3)),g.c((1+0.3*rng.random(c)).astype(np.float32)),epsilon=1e-5)
i64=lambda *a:np.array(a,np.int64)
# Where onnx.reference is not what inference does: it updates the statistics of old batch normalisations, and takes
# the padding of maxima for that of other sides.
class BatchNormalization(OpRun):
    op_domain=''
    def _run(s,x,scale,bias,mean,var,epsilon=1e-5,**_):
        f=lambda v:v.reshape((1,-1)+(1,)*(x.ndim-2))
        return (((x-f(mean))/np.sqrt(f(var)+epsilon)*f(scale)+f(bias)).astype(x.dtype),)
class MaxPool(OpRun):
    op_domain=''
    def _run(s,x,kernel_shape=None,strides=None,pads=None,**_):
        k,st,p=kernel_shape,strides or [1,1],pads or [0]*4
        x=np.pad(x,((0,0),(0,0),(p[0],p[2]),(p[1],p[3])),constant_values=-np.inf)
        w=np.lib.stride_tricks.sliding_window_view(x,tuple(k),axis=(2,3))
        return (w[:,:,::st[0],::st[1]].max(axis=(-2,-1)),)
class AveragePool(OpRun):
    op_domain=''
    # Windows that end beyond the last value are averages of what they hold, as PyTorch has them.
    def _run(s,x,kernel_shape=None,strides=None,ceil_mode=0,**_):
        if x.ndim==4:
            w=np.lib.stride_tricks.sliding_window_view(x,tuple(kernel_shape),axis=(2,3))
            return (w[:,:,::strides[0],::strides[1]].mean(axis=(-2,-1)),)
        n=x.shape[2]; k,st=kernel_shape[0],strides[0]
        starts=range(0,n,st) if ceil_mode else range(0,n-k+1,st)
        return (np.stack([x[:,:,i:i+k].mean(axis=2) for i in starts],axis=2).astype(x.dtype),)
X=lambda *s:rng.standard_normal(s).astype(np.float32)
T0=60
# 1 wespeaker resnet
def resnet(opset=14,dyn=True,name='resnet',F=16,ch=(8,16),fold=True):
    g=G(opset); x=g.o('Transpose','x',perm=[0,2,1]);
    x=g.o('Unsqueeze',x,g.c(i64(1)))
    def conv(x,i,o,k=3,s=1): return bn(g,g.o('Conv',x,g.c(W(o,i,k,k)),kernel_shape=[k,k],strides=[s,s],pads=[k//2]*4,dilations=[1,1],group=1),o)
    x=g.o('Relu',conv(x,1,ch[0]))
    def block(x,i,o,s):
        y=g.o('Relu',conv(x,i,o,3,s)); y=conv(y,o,o)
        if s!=1 or i!=o: x=conv(x,i,o,1,s)
        return g.o('Relu',g.o('Add',y,x))
    x=block(x,ch[0],ch[0],1); x=block(x,ch[0],ch[1],2)
    # TSTP
    m=g.o('ReduceMean',x,axes=[-1],keepdims=0)
    mk=g.o('ReduceMean',x,axes=[-1],keepdims=1)
    d=g.o('Sub',x,mk); sq=g.o('Mul',d,d)
    v=g.o('ReduceMean',sq,axes=[-1],keepdims=0)
    n=g.o('Shape',x); n=g.o('Gather',n,g.c(i64(-1)),axis=0); n=g.o('ReduceProd',n,keepdims=0)
    one=g.c(np.array(1,np.float32)); nf=g.o('Cast',n,to=1)
    v=g.o('Div',g.o('Mul',v,nf),g.o('Sub',nf,one))
    sd=g.o('Sqrt',g.o('Add',v,g.c(np.array(1e-7,np.float32))))
    def flat(t):
        return g.o('Flatten',t,axis=1)
    e=g.o('Concat',flat(m),flat(sd),axis=1)
    fo=F//2
    e=g.o('Gemm',e,g.c(W(12,2*ch[1]*fo)),g.c(W(12)),transB=1)
    g.save(name,[1,'T',F] if dyn else [1,T0,F],e,X(1,T0,F),'btc')
resnet(); resnet(14,False,'resnet_static')
# 2 cam++-like front: 2d conv stride (2,1) then reshape C*F to channels then tdnn
def campp():
    g=G(15); F=16; x=g.o('Transpose','x',perm=[0,2,1]); x=g.o('Unsqueeze',x,g.c(i64(1)))
    def conv(x,i,o,s): return bn(g,g.o('Conv',x,g.c(W(o,i,3,3)),kernel_shape=[3,3],strides=[s,1],pads=[1]*4),o)
    x=g.o('Relu',conv(x,1,8,1))
    y=conv(g.o('Relu',conv(x,8,8,2)),8,8,1)
    s=bn(g,g.o('Conv',x,g.c(W(8,8,1,1)),kernel_shape=[1,1],strides=[2,1]),8)
    x=g.o('Relu',g.o('Add',y,s)); x=g.o('Relu',conv(x,8,8,2))
    sh=g.o('Shape',x)
    b=g.o('Gather',sh,g.c(np.array(0,np.int64)),axis=0);c=g.o('Gather',sh,g.c(np.array(1,np.int64)),axis=0)
    f=g.o('Gather',sh,g.c(np.array(2,np.int64)),axis=0);t=g.o('Gather',sh,g.c(np.array(3,np.int64)),axis=0)
    cf=g.o('Mul',c,f)
    tgt=g.o('Concat',*[g.o('Unsqueeze',q,g.c(i64(0))) for q in (b,cf,t)],axis=0)
    x=g.o('Reshape',x,tgt)
    x=g.o('Relu',bn(g,g.o('Conv',x,g.c(W(24,32,5)),kernel_shape=[5],strides=[2],pads=[2,2]),24))
    # dense tdnn layer w/ context-aware mask
    for k in range(2):
        ci=24+12*k
        y=g.o('Relu',bn(g,x,ci)); y=g.o('Conv',y,g.c(W(16,ci,1)),kernel_shape=[1]); y=g.o('Relu',bn(g,y,16))
        l=g.o('Conv',y,g.c(W(12,16,3)),kernel_shape=[3],pads=[1,1])
        ctx=g.o('ReduceMean',y,axes=[-1],keepdims=1)
        ctx=g.o('Relu',g.o('Conv',ctx,g.c(W(8,16,1)),g.c(W(8)),kernel_shape=[1]))
        mm=g.o('Sigmoid',g.o('Conv',ctx,g.c(W(12,8,1)),g.c(W(12)),kernel_shape=[1]))
        x=g.o('Concat',x,g.o('Mul',l,mm),axis=1)
    m=g.o('ReduceMean',x,axes=[-1],keepdims=0); mk=g.o('ReduceMean',x,axes=[-1],keepdims=1)
    d=g.o('Sub',x,mk); v=g.o('ReduceMean',g.o('Mul',d,d),axes=[-1],keepdims=0)
    st=g.o('Concat',m,g.o('Sqrt',v),axis=-1)
    st=g.o('Unsqueeze',st,g.c(i64(-1))); e=g.o('Conv',st,g.c(W(10,96,1)),kernel_shape=[1]); e=g.o('Squeeze',e,g.c(i64(-1)))
    e=bn(g,e,10)
    g.save('campp',[1,'T',F],e,X(1,T0,F),'btc')
campp()
# 3 activations
def acts():
    for name,op,at,ops in [('leaky','LeakyRelu',dict(alpha=.2),11),('elu','Elu',{},11),('selu','Selu',{},11),('softplus','Softplus',{},11),('hsig','HardSigmoid',dict(alpha=1/6,beta=.5),11),('hswish','HardSwish',{},14),('mish','Mish',{},18),('gelu20','Gelu',{},20),('gelut','Gelu',dict(approximate='tanh'),20),('erf','Erf',{},13),('exp','Exp',{},13),('softsign','Softsign',{},13),('abs','Abs',{},13),('celu','Celu',{},13)]:
        g=G(ops); x=g.o('MatMul','x',g.c(W(8,12))); x=g.o('Add',x,g.c(W(12)))
        x=g.o(op,x,**at); x=g.o('ReduceMean',x,axes=[1],keepdims=0) if ops<18 else g.o('ReduceMean',x,g.c(i64(1)),keepdims=0)
        x=g.o('Gemm',x,g.c(W(6,12)),g.c(W(6)),transB=1)
        g.save('act_'+name,[1,'T',8],x,X(1,20,8),'btc')
acts()
def spelled():
    g=G(13); x0='x'; f=lambda v:g.c(np.array(v,np.float32))
    x=g.o('Add',g.o('MatMul','x',g.c(W(8,12))),g.c(W(12)))
    e=g.o('Add',g.o('Erf',g.o('Div',x,f(2**.5))),f(1.0)); x=g.o('Mul',g.o('Mul',x,e),f(.5))      # gelu
    x=g.o('Add',g.o('MatMul',x,g.c(W(12,12))),g.c(W(12)))
    x=g.o('Mul',x,g.o('Sigmoid',x))  # silu
    x=g.o('MatMul',x,g.c(W(12,12)))
    x=g.o('Mul',x,g.o('Tanh',g.o('Softplus',x))) # mish
    x=g.o('MatMul',x,g.c(W(12,12)))
    x=g.o('Div',g.o('Mul',x,g.o('Clip',g.o('Add',x,f(3.)),f(0.),f(6.))),f(6.)) # hardswish
    x=g.o('PRelu',x,g.c(np.abs(W(12,scale=.3))))
    x=g.o('MatMul',x,g.c(W(12,12)))
    p=g.o('Mul',g.o('Add',x,g.o('Mul',g.o('Pow',x,f(3.)),f(0.044715))),f((2/np.pi)**.5)); x=g.o('Mul',g.o('Mul',x,f(.5)),g.o('Add',g.o('Tanh',p),f(1.))) # gelu tanh
    x=g.o('Log',g.o('Add',g.o('Exp',x),f(1.)))
    x=g.o('Sqrt',g.o('Add',x,f(.1)))
    x=g.o('ReduceMean',x,axes=[1],keepdims=0)
    g.save('spelled',[1,'T',8],x,X(1,20,8),'btc')
spelled()
# 4 bilstm/gru
def rnn(kind,layers=2,bi=True,batch_first=True,op=14):
    g=G(op);H=6;I=8;x='x'
    if batch_first: x=g.o('Transpose',x,perm=[1,0,2])
    D=2 if bi else 1; ng=4 if kind=='LSTM' else 3
    sh=g.o('Shape',x); b=g.o('Gather',sh,g.c(np.array(1,np.int64)),axis=0)
    st=g.o('Concat',g.c(i64(D)),g.o('Unsqueeze',b,g.c(i64(0))),g.c(i64(H)),axis=0)
    z=g.o('Expand',g.c(np.zeros((D,1,H),np.float32)),st)
    for l in range(layers):
        ins=[x,g.c(W(D,ng*H,I if l==0 else D*H)),g.c(W(D,ng*H,H)),g.c(W(D,2*ng*H,scale=.3)),'',z]
        kw=dict(hidden_size=H,direction='bidirectional' if bi else 'forward')
        if kind=='LSTM': ins.append(z)
        else: kw['linear_before_reset']=1
        y,hn=g.o(kind,*ins,nout=2,**kw)
        y=g.o('Transpose',y,perm=[0,2,1,3]); x=g.o('Reshape',y,g.c(i64(0,0,-1)))
    if batch_first: x=g.o('Transpose',x,perm=[1,0,2])
    m=g.o('ReduceMean',x,axes=[1],keepdims=0)
    if bi:
        a=g.o('Gather',hn,g.c(np.array(-2,np.int64)),axis=0);bb=g.o('Gather',hn,g.c(np.array(-1,np.int64)),axis=0)
        m=g.o('Concat',m,a,bb,axis=1); n=4*H
    else: n=H
    e=g.o('Gemm',m,g.c(W(5,n)),g.c(W(5)),transB=1)
    g.save(f'{kind.lower()}_{"bi" if bi else "fw"}',[1,'T',I],e,X(1,20,I),'btc')
rnn('LSTM'); rnn('GRU'); rnn('GRU',bi=False)
# 5 transformer
def transformer(op=17,spelled_ln=False,name='transformer',pre=False):
    g=G(op);E=16;H=4;f=lambda v:g.c(np.array(v,np.float32))
    x=g.o('Add',g.o('MatMul','x',g.c(W(8,E))),g.c(W(E)))
    def ln(x):
        w,b=g.c(1+.1*W(E,scale=1)),g.c(W(E,scale=.1))
        if not spelled_ln: return g.o('LayerNormalization',x,w,b,axis=-1,epsilon=1e-5)
        m=g.o('ReduceMean',x,axes=[-1]); d=g.o('Sub',x,m); v=g.o('ReduceMean',g.o('Pow',d,f(2.)),axes=[-1])
        return g.o('Add',g.o('Mul',g.o('Div',d,g.o('Sqrt',g.o('Add',v,f(1e-5)))),w),b)
    def lin(x,i,o): return g.o('Add',g.o('MatMul',x,g.c(W(i,o))),g.c(W(o,scale=.1)))
    for l in range(2):
        y=ln(x) if pre else x
        def heads(t,perm):
            sh=g.o('Shape',t); b=g.o('Slice',sh,g.c(i64(0)),g.c(i64(1)),g.c(i64(0))); tt=g.o('Slice',sh,g.c(i64(1)),g.c(i64(2)),g.c(i64(0)))
            return g.o('Transpose',g.o('Reshape',t,g.o('Concat',b,tt,g.c(i64(H)),g.c(i64(E//H)),axis=0)),perm=perm)
        q,k,v=lin(y,E,E),lin(y,E,E),lin(y,E,E)
        q,k,v=heads(q,[0,2,1,3]),heads(k,[0,2,3,1]),heads(v,[0,2,1,3])
        s=g.o('Div',g.o('MatMul',q,k),f((E//H)**.5)); a=g.o('Softmax',s,axis=-1)
        o=g.o('Transpose',g.o('MatMul',a,v),perm=[0,2,1,3]); o=g.o('Reshape',o,g.c(i64(0,0,E)))
        x=g.o('Add',x,lin(o,E,E)); 
        if not pre: x=ln(x)
        y=ln(x) if pre else x
        y=lin(g.o('Relu',lin(y,E,32)),32,E); x=g.o('Add',x,y)
        if not pre: x=ln(x)
    x=g.o('ReduceMean',x,axes=[1],keepdims=0)
    e=g.o('Gemm',x,g.c(W(6,E)),g.c(W(6)),transB=1)
    g.save(name,[1,'T',8],e,X(1,20,8),'btc')
transformer(); transformer(13,True,'transformer_ln',True)
# 6 nn.MultiheadAttention export style (T,B,E) with packed proj
def mha():
    g=G(14);E=12;H=3;f=lambda v:g.c(np.array(v,np.float32)); T=20
    x=g.o('Transpose','x',perm=[1,0,2])
    qkv=g.o('Add',g.o('MatMul',x,g.c(W(E,3*E))),g.c(W(3*E,scale=.1)))
    r=g.o('Reshape',qkv,g.c(i64(T,1,3,E))); r=g.o('Unsqueeze',r,g.c(i64(0))); r=g.o('Transpose',r,perm=[3,1,2,0,4]); r=g.o('Squeeze',r,g.c(i64(3)))
    q,k,v=[g.o('Gather',r,g.c(np.array(j,np.int64)),axis=0) for j in range(3)]
    hd=lambda t:g.o('Transpose',g.o('Reshape',t,g.c(i64(T,H,E//H))),perm=[1,0,2])
    q,k,v=hd(q),hd(k),hd(v)
    q=g.o('Div',q,f((E//H)**.5)); s=g.o('MatMul',q,g.o('Transpose',k,perm=[0,2,1])); a=g.o('Softmax',s,axis=-1)
    o=g.o('Transpose',g.o('MatMul',a,v),perm=[1,0,2]); o=g.o('Reshape',o,g.c(i64(T,E)))
    o=g.o('Gemm',o,g.c(W(E,E)),g.c(W(E)),transB=1); o=g.o('Reshape',o,g.c(i64(T,1,E)))
    o=g.o('Transpose',o,perm=[1,0,2]); o=g.o('Add','x',o)
    e=g.o('ReduceMean',o,axes=[1],keepdims=0)
    g.save('mha',[1,T,E],e,X(1,T,E),'btc')
mha()
# 7 misc: dilated 2d, groups, maxpool padded, avgpool, global avg
def cnn():
    g=G(12); x=g.o('Conv','x',g.c(W(8,1,3,3)),g.c(W(8)),kernel_shape=[3,3],pads=[1]*4,strides=[1,2])
    x=g.o('Relu',x); x=g.o('MaxPool',x,kernel_shape=[3,3],strides=[2,2],pads=[1]*4)
    x=g.o('Conv',x,g.c(W(16,4,3,3)),kernel_shape=[3,3],dilations=[2,1],pads=[2,1,2,1],group=2)
    x=g.o('LeakyRelu',x,alpha=.1)
    x=g.o('MaxPool',x,kernel_shape=[2,2],strides=[1,1],pads=[0,0,1,1])
    x=g.o('AveragePool',x,kernel_shape=[2,2],strides=[2,2])
    x=g.o('Conv',x,g.c(W(16,1,3,3)),g.c(W(16)),kernel_shape=[3,3],auto_pad='SAME_UPPER',group=16)
    x=g.o('Relu',x)
    x=g.o('GlobalAveragePool',x); x=g.o('Flatten',x)
    x=g.o('Gemm',x,g.c(W(10,16)),g.c(W(10)),transB=1); x=g.o('Softmax',x,axis=1)
    g.save('cnn',[1,1,32,16],x,X(1,1,32,16),'b1tf')
cnn()
def cnn_rnn():
    g=G(13); x=g.o('Unsqueeze','x',g.c(i64(1)))  # [1,1,T,F]
    x=g.o('Relu',bn(g,g.o('Conv',x,g.c(W(4,1,3,3)),kernel_shape=[3,3],pads=[1]*4,strides=[1,2]),4))
    x=g.o('Transpose',x,perm=[0,2,1,3]) # B T C F
    sh=g.o('Shape',x); b=g.o('Gather',sh,g.c(np.array(0,np.int64)),axis=0);t=g.o('Gather',sh,g.c(np.array(1,np.int64)),axis=0)
    x=g.o('Reshape',x,g.o('Concat',g.o('Unsqueeze',b,g.c(i64(0))),g.o('Unsqueeze',t,g.c(i64(0))),g.c(i64(-1)),axis=0))
    x=g.o('Transpose',x,perm=[1,0,2])
    y,hn=g.o('GRU',x,g.c(W(1,15,16)),g.c(W(1,15,5)),g.c(W(1,30,scale=.2)),nout=2,hidden_size=5,linear_before_reset=1)
    e=g.o('Squeeze',hn,g.c(i64(0))); e=g.o('Gemm',e,g.c(W(4,5)),g.c(W(4)),transB=1)
    g.save('cnn_gru',[1,'T',8],e,X(1,T0,8),'btc')
cnn_rnn()
def chanfirst():
    g=G(9); x=g.o('Pad','x',mode='reflect',pads=[0,0,2,0,0,2]); x=g.o('Conv',x,g.c(W(12,8,5)),g.c(W(12)),kernel_shape=[5])
    x=bn(g,g.o('Relu',x),12)
    m=g.o('ReduceMean',x,axes=[2],keepdims=1)
    n=g.o('Sqrt',g.o('ReduceMean',g.o('Pow',g.o('Sub',x,m),g.c(np.array(2,np.float32))),axes=[2],keepdims=1))
    x=g.o('Concat',m,n,axis=1); x=g.o('Squeeze',x,axes=[2]); x=g.o('Gemm',x,g.c(W(24,7)),g.c(W(7)))
    no=g.o('ReduceL2',x,axes=[1],keepdims=1); x=g.o('Div',x,no)
    g.save('chanfirst',[1,8,'T'],x,X(1,8,40),'bct')
chanfirst()
def rms():
    g=G(17);f=lambda v:g.c(np.array(v,np.float32)); x=g.o('MatMul','x',g.c(W(8,12)))
    v=g.o('ReduceMean',g.o('Pow',x,f(2.)),axes=[-1],keepdims=1); x=g.o('Mul',x,g.o('Reciprocal',g.o('Sqrt',g.o('Add',v,f(1e-5)))))
    x=g.o('Mul',x,g.c(W(12,scale=1))); x=g.o('ReduceMean',x,axes=[1],keepdims=0); x=g.o('MatMul',x,g.c(W(12,5)))
    g.save('rms',[1,'T',8],x,X(1,20,8),'btc')
rms()
def posenc():
    g=G(17); x=g.o('MatMul','x',g.c(W(8,12))); x=g.o('Add',x,g.c(W(1,20,12,scale=1))); x=g.o('Relu',x)
    x=g.o('Flatten',x,axis=1); x=g.o('Gemm',x,g.c(W(240,5)),g.c(W(5)))
    g.save('posenc',[1,20,8],x,X(1,20,8),'btc')
posenc()
f32=lambda v:np.array(v,np.float32)
def head(g,x,c,n=6):
    x=g.o('ReduceMean',x,axes=[1],keepdims=0)
    return g.o('Gemm',x,g.c(W(n,c)),g.c(W(n)),transB=1)
# plain recurrences, both directions
def rnn_plain(name,direction):
    g=G(14); d=2 if direction=='bidirectional' else 1
    x=g.o('Transpose','x',perm=[1,0,2])
    y,h_=g.o('RNN',x,g.c(W(d,10,8)),g.c(W(d,10,10)),g.c(W(d,20)),nout=2,hidden_size=10,direction=direction)
    y=g.o('Transpose',y,perm=[2,0,1,3]); y=g.o('Reshape',y,g.c(i64(0,-1,d*10)))
    x=g.o('Relu',g.o('MatMul',y,g.c(W(d*10,8)))) ; g.save(name,[1,'T',8],head(g,x,8),X(1,30,8),'btc')
for name,direction in [('rnn_fw','forward'),('rnn_rev','reverse'),('rnn_bi','bidirectional')]: rnn_plain(name,direction)
# group normalisation as torch exports it, and as an operator; instance normalisation of channels
def group_norm(name,kind,C=12,Gr=3):
    g=G(21 if kind=='operator' else 17); x=g.o('Transpose','x',perm=[0,2,1])
    x=g.o('Conv',x,g.c(W(C,8,3)),g.c(W(C)),kernel_shape=[3],pads=[1,1])
    if kind=='spelled':
        y=g.o('Reshape',x,g.c(i64(0,Gr,-1)))
        y=g.o('InstanceNormalization',y,g.c(np.ones(Gr,np.float32)),g.c(np.zeros(Gr,np.float32)),epsilon=1e-5)
        y=g.o('Reshape',y,g.o('Shape',x))
        y=g.o('Add',g.o('Mul',y,g.c(1+W(C,1,scale=.3))),g.c(W(C,1)))
    elif kind=='operator':
        y=g.o('GroupNormalization',x,g.c(1+W(C,scale=.3)),g.c(W(C)),num_groups=Gr,epsilon=1e-5)
    else:
        y=g.o('InstanceNormalization',x,g.c(1+W(C,scale=.3)),g.c(W(C)),epsilon=1e-5)
    y=g.o('Relu',y); y=g.o('Transpose',y,perm=[0,2,1])
    y=g.o('ReduceMean',y,g.c(i64(1)),keepdims=0) if kind=='operator' else g.o('ReduceMean',y,axes=[1],keepdims=0)
    y=g.o('Gemm',y,g.c(W(6,C)),g.c(W(6)),transB=1)
    g.save(name,[1,'T',8],y,X(1,40,8),'btc')
for name,kind in [('group_norm','operator'),('group_norm_spelled','spelled'),('instance_norm','instance')]: group_norm(name,kind)
# time cut, split and put together again
def rows():
    g=G(17); x=g.o('Relu',g.o('MatMul','x',g.c(W(8,12))))
    a,b,c=g.o('Split',x,g.c(i64(5,8,7)),nout=3,axis=1)
    d=g.o('Gather',x,g.c(i64(11)),axis=1); e=g.o('Slice',x,g.c(i64(3)),g.c(i64(9)),g.c(i64(1)))
    y=g.o('Concat',c,d,g.c(W(1,2,12)),g.o('Tanh',b),g.o('Neg',a),e,axis=1)
    y=g.o('Relu',g.o('MatMul',y,g.c(W(12,10)))); y=g.o('Flatten',y,axis=1)
    g.save('rows',[1,20,8],g.o('Gemm',y,g.c(W(6,290)),g.c(W(6)),transB=1),X(1,20,8),'btc')
rows()
# a constant choice, by channel and by row
def where():
    g=G(17); x=g.o('Relu',g.o('MatMul','x',g.c(W(8,12)))); z=g.o('Tanh',g.o('MatMul','x',g.c(W(8,12))))
    x=g.o('Where',g.c(rng.random((12,))<.5),x,z)
    x=g.o('Where',g.c(rng.random((1,20,1))<.6),x,g.c(f32(0.25)))
    x=g.o('Mul',x,g.c(W(1,20,1,scale=1)))
    g.save('where',[1,20,8],head(g,x,12),X(1,20,8),'btc')
where()
# attention that hides later keys by a choice
def causal():
    g=G(17); x=g.o('MatMul','x',g.c(W(8,16)))
    def heads(perm): return g.o('Transpose',g.o('Reshape',g.o('MatMul',x,g.c(W(16,16))),g.c(i64(0,0,2,8))),perm=perm)
    q,k,v=heads([0,2,1,3]),heads([0,2,3,1]),heads([0,2,1,3])
    s=g.o('Mul',g.o('MatMul',q,k),g.c(f32(8**-.5)))
    s=g.o('Where',g.c(np.tril(np.ones((1,1,20,20),bool))),s,g.c(f32(-np.inf)))
    y=g.o('MatMul',g.o('Softmax',s,axis=-1),v)
    y=g.o('Reshape',g.o('Transpose',y,perm=[0,2,1,3]),g.c(i64(0,0,16)))
    g.save('causal',[1,20,8],head(g,g.o('Relu',y),16),X(1,20,8),'btc')
causal()
# transposed convolutions
def upsampled():
    g=G(17); x=g.o('Transpose','x',perm=[0,2,1])
    x=g.o('Relu',g.o('ConvTranspose',x,g.c(W(8,6,5)),g.c(W(6)),strides=[2],pads=[2,1],output_padding=[1],kernel_shape=[5]))
    x=g.o('Relu',g.o('ConvTranspose',x,g.c(W(6,8,3)),strides=[3],kernel_shape=[3]))
    x=g.o('Relu',g.o('ConvTranspose',x,g.c(W(8,5,4)),g.c(W(5)),strides=[1],pads=[1,2],kernel_shape=[4]))
    g.save('upsampled',[1,'T',8],head(g,g.o('Transpose',x,perm=[0,2,1]),5),X(1,15,8),'btc')
upsampled()
# models that are quantized already, three ways of writing one network: scales as a calibration would find them
def quantized(kind,opset,wide=False):
    r=np.random.default_rng(7)
    N=lambda *s:r.standard_normal(s).astype(np.float32)
    g=G(opset); at,wt=(np.uint16,np.int8) if wide else (np.uint8,np.int8)
    A=lambda scale,zero:(g.c(f32(scale)),g.c(np.array(zero,at)))
    def weights(w,axis):
        s=np.abs(w).max(axis=tuple(i for i in range(w.ndim) if i!=axis))/np.float32(127)
        shape=[1]*w.ndim; shape[axis]=-1
        return np.clip(np.rint(w/s.reshape(shape)),-127,127).astype(wt),s.astype(np.float32)
    fine=257 if wide else 1
    zero=30000 if wide else 119
    ex,ey,ez,eo=A(.0213/fine,zero),A(.0171/fine,0),A(.0163/fine,0),A(.0127/fine,zero)
    w1,s1=weights(N(8,6,3,1)/4,0); b1=np.rint(N(8)*.2/(.0213/fine*s1)).astype(np.int32)
    w2,s2=weights(N(12,8,3,1)/4,0); b2=np.rint(N(12)*.2/(.0171/fine*s2)).astype(np.int32)
    w3,s3=weights(N(12,5)/3,1)
    x=g.o('QuantizeLinear',g.o('Transpose','x',perm=[0,2,1]),*ex)
    # Convolutions of images of width 1: onnx.reference has these of integers in two dimensions only.
    x=g.o('Reshape',x,g.c(i64(1,6,-1,1)))
    flat=lambda x:g.o('Transpose',g.o('Reshape',x,g.c(i64(1,12,-1))),perm=[0,2,1])
    pads={'pads':[1,0,1,0]}
    if kind=='qoperator':
        x=g.o('QLinearConv',x,*ex,g.c(w1),g.c(s1),g.c(np.zeros(8,wt)),*ey,g.c(b1),**pads)
        x=g.o('QLinearConv',x,*ey,g.c(w2),g.c(s2),g.c(np.zeros(12,wt)),*ez,g.c(b2),strides=[2,1])
        x=flat(x)
        x=g.o('QLinearMatMul',x,*ez,g.c(w3),g.c(s3),g.c(np.zeros(5,wt)),*eo)
        x=g.o('DequantizeLinear',x,*eo)
    elif kind=='qdq':
        def Q(x,e): return g.o('DequantizeLinear',g.o('QuantizeLinear',x,*e),*e)
        def dq(w,s,axis): return g.o('DequantizeLinear',g.c(w),g.c(s),g.c(np.zeros(len(s),w.dtype)),axis=axis)
        x=g.o('DequantizeLinear',x,*ex)
        x=Q(g.o('Relu',g.o('Conv',x,dq(w1,s1,0),dq(b1,(f32(.0213/fine)*s1).astype(np.float32),0),**pads)),ey)
        x=Q(g.o('Relu',g.o('Conv',x,dq(w2,s2,0),dq(b2,(f32(.0171/fine)*s2).astype(np.float32),0),strides=[2,1])),ez)
        x=g.o('MatMul',flat(x),dq(w3,s3,1))
        x=Q(x,eo)
    else:
        # The same with exact sums of integers, scales multiplied by hand; zero points of weights are not zero.
        zw=np.array(3,wt)
        def scaled(x,e,s,axis): return g.o('Mul',g.o('Cast',x,to=T.FLOAT),g.c((f32(e)*s).reshape([-1,1,1] if axis else [-1]).astype(np.float32)))
        x=g.o('ConvInteger',x,g.c(w1),ex[1],g.c(zw),**pads); x=scaled(x,.0213,s1,1)
        x=g.o('QuantizeLinear',g.o('Clip',x,g.c(f32(0)),g.c(f32(3.5))),*ey)
        x=scaled(g.o('ConvInteger',x,g.c(w2),ey[1],g.c(zw),strides=[2,1]),.0171,s2,1)
        x=g.o('QuantizeLinear',g.o('Relu',x),*ez)
        x=g.o('MatMulInteger',flat(x),g.c(w3),ez[1])
        x=scaled(x,.0163,s3,0)
    # All rows: the last one alone would hide most of what may go wrong. The input is what 12 fraction bits hold.
    x0=(np.rint(N(1,10,6)*4096)/4096).astype(np.float32)
    g.save(f'quantized_{kind}'+('_wide' if wide else ''),[1,10,6],g.o('Reshape',x,g.c(i64(1,-1))),x0,'btc')
quantized('qdq',13); quantized('qoperator',10); quantized('integer',11); quantized('qdq',21,True)
# recurrences that start from states of the model
def from_states(op,gates,direction):
    r=np.random.default_rng(11); N=lambda *s:r.standard_normal(s).astype(np.float32)
    g=G(14); D=2 if direction=='bidirectional' else 1; H=5
    ins=[g.o('Transpose','x',perm=[1,0,2]),g.c(N(D,gates*H,6)/2),g.c(N(D,gates*H,H)/2),g.c(N(D,2*gates*H)/4),'',g.c(N(D,1,H)*.7)]
    if op=='LSTM': ins.append(g.c(N(D,1,H)*1.3))
    y=g.o(op,*ins,nout=2,hidden_size=H,direction=direction,**({'linear_before_reset':1} if op=='GRU' else {}))
    y=g.o('Reshape',g.o('Transpose',y[0],perm=[2,0,1,3]),g.c(i64(1,-1)))
    g.save(f'{op.lower()}_from_states',[1,4,6],y,N(1,4,6),'btc')
from_states('LSTM',4,'forward'); from_states('GRU',3,'forward'); from_states('RNN',1,'reverse')
# products as einsum writes them: heads cut by a constant of three axes, attention, a mean weighted by channels
def einsum():
    r=np.random.default_rng(13); N=lambda *s:r.standard_normal(s).astype(np.float32)
    g=G(17); E=lambda eq,*ins:g.o('Einsum',*ins,equation=eq)
    heads=lambda:E('bti,hid->bhtd','x',g.c(N(2,6,4)/3))
    q,k,v=heads(),heads(),heads()
    s=g.o('Mul',E('bhqd,bhkd->bhqk',q,k),g.c(f32(.5)))
    y=E('bhqk, bhkd -> bqhd',g.o('Softmax',s,axis=-1),v)
    # a matrix for every head, an output of all heads, every channel scaled, another order
    y=E('bthd,hde->bteh',y,g.c(N(2,4,3)/2))
    y=E('bteh,ehc->btc',y,g.c(N(3,2,7)/2))
    y=g.o('Relu',E('c,btc->btc',g.c(N(7)),y))
    y=E('bct->btc',E('btc->bct',y))
    # a constant channel for every one: an outer product
    y=E('btc,e->btce',y,g.c(N(2)))
    g.save('einsum',[1,8,6],g.o('Reshape',g.o('ReduceMean',y,axes=[1],keepdims=0),g.c(i64(1,-1))),N(1,8,6),'btc')
einsum()
# loops that are unrolled
def loops():
    r=np.random.default_rng(17); N=lambda *s:r.standard_normal(s).astype(np.float32)
    V=lambda n,t=T.FLOAT:h.make_tensor_value_info(n,t,None)
    # h -> relu(h*W + i*b), and the sum of its channels in every step
    g=G(17)
    body=h.make_graph([h.make_node('MatMul',['h','W'],['hw']),h.make_node('Cast',['i'],['f'],to=T.FLOAT),h.make_node('Mul',['f','b'],['fb']),
        h.make_node('Add',['hw','fb'],['a']),h.make_node('Relu',['a'],['h2']),h.make_node('MatMul',['h2','s'],['out_i']),h.make_node('Identity',['c'],['again'])],
        'body',[V('i',T.INT64),V('c',T.BOOL),V('h')],[V('again',T.BOOL),V('h2'),V('out_i')],[nh.from_array(N(6,6)/2,'W'),nh.from_array(N(6)/2,'b')])
    g.c(N(6,3),'s')
    last,all=g.o('Loop',g.c(np.array(4,np.int64)),g.c(np.array(True)),g.o('ReduceMean','x',axes=[1],keepdims=0),nout=2,body=body)
    y=g.o('Concat',last,g.o('Reshape',all,g.c(i64(1,12))),axis=1)
    g.save('loop',[1,5,6],y,N(1,5,6),'btc')
    # a recurrence over time, and what it gives in every step
    g=G(17)
    body=h.make_graph([h.make_node('MatMul',['xt','W'],['xw']),h.make_node('MatMul',['h','R'],['hr']),h.make_node('Add',['xw','hr'],['a']),
        h.make_node('Tanh',['a'],['h2']),h.make_node('Identity',['h2'],['y'])],'body',[V('h'),V('xt')],[V('h2'),V('y')])
    g.c(N(6,4)/2,'W'); g.c(N(4,4)/2,'R')
    start=g.o('MatMul',g.o('ReduceMean','x',axes=[1],keepdims=0),g.c(N(6,4)/2))
    last,all=g.o('Scan',start,g.o('Transpose','x',perm=[1,0,2]),nout=2,body=body,num_scan_inputs=1)
    y=g.o('Concat',last,g.o('Reshape',all,g.c(i64(1,-1))),axis=1)
    g.save('scan',[1,5,6],y,N(1,5,6),'btc')
loops()
# pooling with one weight a row: a product and a sum, or a product of matrices, as softmax(w·tanh(x)) is written
def attention_pool(kind,opset=17):
    r=np.random.default_rng(19); N=lambda *s:r.standard_normal(s).astype(np.float32)
    g=G(opset); x=g.o('Tanh',g.o('MatMul','x',g.c(N(6,8)/2)))
    w=g.o('Softmax',g.o('Add',g.o('MatMul',g.o('Tanh',g.o('MatMul',x,g.c(N(8,4)))),g.c(N(4,1))),g.c(N(1))),axis=1)
    if kind=='sum': y=g.o('ReduceSum',g.o('Mul',x,w),g.c(i64(1)),keepdims=0)
    elif kind=='weights_first': y=g.o('Squeeze',g.o('MatMul',g.o('Transpose',w,perm=[0,2,1]),x),g.c(i64(1)))
    else: y=g.o('Squeeze',g.o('MatMul',g.o('Transpose',x,perm=[0,2,1]),w),g.c(i64(-1)))
    g.save('attention_pool_'+kind,[1,'T',6],g.o('Gemm',y,g.c(N(5,8)),g.c(N(5)),transB=1),N(1,20,6),'btc')
for kind in ['sum','weights_first','weights_last']: attention_pool(kind)
# means of runs of rows in a context-aware mask; the last run is of fewer rows
def segments(T0,name):
    r=np.random.default_rng(23); N=lambda *s:r.standard_normal(s).astype(np.float32)
    g=G(17); x=g.o('Relu',g.o('Conv',g.o('Transpose','x',perm=[0,2,1]),g.c(N(8,6,1)/2),kernel_shape=[1]))
    seg=g.o('AveragePool',x,kernel_shape=[5],strides=[5],pads=[0,0],ceil_mode=1,count_include_pad=1)
    at=lambda v,i:g.o('Unsqueeze',g.o('Gather',g.o('Shape',v),g.c(np.array(i,np.int64)),axis=0),g.c(i64(0)))
    to=g.o('Concat',at(seg,0),at(seg,1),at(seg,2),g.c(i64(5)),axis=0)
    to=g.o('Where',g.o('Equal',to,g.c(i64(-1,-1,-1,-1))),g.c(i64(1,1,1,1)),to)
    y=g.o('Reshape',g.o('Expand',g.o('Unsqueeze',seg,g.c(i64(-1))),to),g.o('Concat',at(seg,0),at(seg,1),g.c(i64(-1)),axis=0))
    y=g.o('Slice',y,g.c(i64(0)),at(x,2),g.c(i64(2)),g.c(i64(1)))
    y=g.o('Add',g.o('ReduceMean',x,axes=[-1],keepdims=1),y)
    m=g.o('Sigmoid',g.o('Conv',g.o('Relu',g.o('Conv',y,g.c(N(4,8,1)/2),g.c(N(4)),kernel_shape=[1])),g.c(N(8,4,1)),g.c(N(8)),kernel_shape=[1]))
    y=g.o('Transpose',g.o('Mul',x,m),perm=[0,2,1])
    y=g.o('ReduceMean',y,axes=[1],keepdims=0)
    g.save(name,[1,'T',6],g.o('Gemm',y,g.c(N(5,8)),g.c(N(5)),transB=1),N(1,T0,6),'btc')
segments(23,'segments'); segments(4,'segments_one')
# masks of lengths: squeeze and excitation, and attentive statistics, that leave padding out
def masks(kind,opset=17):
    r=np.random.default_rng(29); N=lambda *s:r.standard_normal(s).astype(np.float32); C=8
    g=G(opset); x=g.o('Relu',g.o('Conv',g.o('Transpose','x',perm=[0,2,1]),g.c(N(C,6,3)/3),pads=[1,1],kernel_shape=[3]))
    at=lambda v,i:g.o('Gather',g.o('Shape',v),g.c(np.array(i,np.int64)),axis=0)
    n=at(x,2); zero,one=g.c(i64(0)),g.c(i64(1))
    if kind=='counted':
        # integers: the number of rows
        steps=g.o('Range',g.c(np.array(0,np.int64)),n,g.c(np.array(1,np.int64)))
        mask=g.o('Less',g.o('Unsqueeze',steps,zero),g.o('Unsqueeze','lengths',one))
        flags=g.o('Unsqueeze',mask,one)
        x=g.o('Where',g.o('Not',flags),g.c(f32(0)),x)
        s=g.o('Div',g.o('ReduceSum',x,g.c(i64(-1)),keepdims=1),g.o('Cast',g.o('ReduceSum',g.o('Cast',flags,to=T.INT64),g.c(i64(-1)),keepdims=1),to=T.FLOAT))
        mask=g.o('Cast',flags,to=T.FLOAT)
    else:
        # floats: the share of the batch's longest
        if kind=='none':
            lengths=g.o('ConstantOfShape',g.o('Unsqueeze',at(x,0),zero),value=nh.from_array(np.ones(1,np.float32)))
        else: lengths='lengths'
        lengths=g.o('Mul',lengths,g.o('Cast',n,to=T.FLOAT))
        steps=g.o('Range',g.c(f32(0)),g.o('Cast',n,to=T.FLOAT),g.c(f32(1)))
        steps=g.o('Expand',steps,g.o('Concat',one,g.o('Unsqueeze',n,zero),axis=0))
        mask=g.o('Unsqueeze',g.o('Cast',g.o('Less',steps,g.o('Unsqueeze',lengths,one)),to=T.FLOAT),one)
        s=g.o('Div',g.o('ReduceSum',g.o('Mul',x,mask),g.c(i64(2)),keepdims=1),g.o('ReduceSum',mask,g.c(i64(2)),keepdims=1))
    x=g.o('Mul',x,g.o('Sigmoid',g.o('Conv',s,g.c(N(C,C,1)),g.c(N(C)),kernel_shape=[1])))
    def stats(w):
        mean=g.o('ReduceSum',g.o('Mul',w,x),g.c(i64(2)),keepdims=0)
        d=g.o('Pow',g.o('Sub',x,g.o('Unsqueeze',mean,g.c(i64(2)))),g.c(f32(2)))
        v=g.o('ReduceSum',g.o('Mul',w,d),g.c(i64(2)),keepdims=0)
        return mean,g.o('Sqrt',g.o('Clip',v,g.c(f32(1e-4))))
    total=g.o('Cast',g.o('ReduceSum',mask,g.c(i64(2)),keepdims=1),to=T.FLOAT)
    ones=g.o('Concat',one,one,g.o('Unsqueeze',n,zero),axis=0)
    both=[g.o('Tile',g.o('Unsqueeze',v,g.c(i64(2))),ones) for v in stats(g.o('Div',mask,total))]
    a=g.o('Tanh',g.o('Conv',g.o('Concat',x,*both,axis=1),g.c(N(4,3*C,1)/3),kernel_shape=[1]))
    a=g.o('Conv',a,g.c(N(C,4,1)),kernel_shape=[1])
    a=g.o('Where',g.o('Equal',mask,g.c(f32(0))),g.c(f32(-np.inf)),a)
    y=g.o('Concat',*stats(g.o('Softmax',a,axis=2)),axis=1)
    given={'none':None,'relative':np.ones(1,np.float32),'counted':np.array([19],np.int64)}[kind]
    g.save('masks_'+kind,['B','T',6],g.o('Gemm',y,g.c(N(5,2*C)),g.c(N(5)),transB=1),N(1,19,6),'btc',given)
for kind in ['none','relative','counted']: masks(kind)
# instance normalisation of channels whose sizes are a hundred to one
def uneven(name,C=12):
    g=G(17); x=g.o('Transpose','x',perm=[0,2,1])
    w=W(C,8,3)*(10.0**(-2*np.arange(C)/(C-1)))[:,None,None]
    y=g.o('Conv',x,g.c(w.astype(np.float32)),kernel_shape=[3],pads=[1,1])
    y=g.o('InstanceNormalization',y,g.c(1+W(C,scale=.3)),g.c(W(C)),epsilon=1e-7)
    y=g.o('Transpose',g.o('Relu',y),perm=[0,2,1])
    g.save(name,[1,'T',8],head(g,y,C),X(1,40,8),'btc')
uneven('instance_norm_uneven')
# heads of attention over time: a matrix a head, softmax weights of every head for its own channels or for all of them
def heads(kind,opset=17):
    r=np.random.default_rng(31); N=lambda *s:r.standard_normal(s).astype(np.float32); H,D=3,4
    g=G(opset); x=g.o('Tanh',g.o('MatMul','x',g.c(N(6,H*D)/2)))
    t=g.o('Gather',g.o('Shape',x),g.c(i64(1)),axis=0)
    if kind=='of_channels':
        v=g.o('Transpose',g.o('Reshape',x,g.o('Concat',g.c(i64(1)),t,g.c(i64(H,D)),axis=0)),perm=[0,2,1,3])
        w=g.o('Softmax',g.o('MatMul',v,g.c(N(H,D,1))),axis=2)
        y=g.o('ReduceSum',g.o('Mul',v,w),g.c(i64(2)),keepdims=0)
        s=g.o('ReduceSum',g.o('Mul',g.o('Mul',v,v),w),g.c(i64(2)),keepdims=0)
        s=g.o('Sqrt',g.o('Clip',g.o('Sub',s,g.o('Mul',y,y)),g.c(f32(1e-5))))
        y=g.o('Reshape',g.o('Concat',y,s,axis=2),g.c(i64(1,2*H*D))); C=2*H*D
    else:
        w=g.o('Softmax',g.o('MatMul',x,g.c(N(H*D,H))),axis=1); C=H*H*D
        if kind=='einsum': y=g.o('Einsum',w,x,equation='bth,btd->bhd')
        elif kind=='weights_first': y=g.o('MatMul',g.o('Transpose',w,perm=[0,2,1]),x)
        else: y=g.o('Transpose',g.o('MatMul',g.o('Transpose',x,perm=[0,2,1]),w),perm=[0,2,1])
        y=g.o('Flatten',y,axis=1)
    g.save('heads_'+kind,[1,'T',6],g.o('Gemm',y,g.c(N(5,C)),g.c(N(5)),transB=1),N(1,20,6),'btc')
for kind in ['of_channels','einsum','weights_first','weights_last']: heads(kind)
# a softmax over time that weights the channels of an image
def image_pool():
    r=np.random.default_rng(37); N=lambda *s:r.standard_normal(s).astype(np.float32); C,F=4,6
    g=G(17); x=g.o('Unsqueeze',g.o('Transpose','x',perm=[0,2,1]),g.c(i64(1)))
    x=g.o('Relu',g.o('Conv',x,g.c(N(C,1,3,3)/2),kernel_shape=[3,3],pads=[1,1,1,1]))
    t=g.o('Gather',g.o('Shape',x),g.c(i64(3)),axis=0)
    x=g.o('Reshape',x,g.o('Concat',g.c(i64(1,C*F)),t,axis=0))
    a=g.o('Conv',g.o('Tanh',g.o('Conv',x,g.c(N(5,C*F,1)/3),kernel_shape=[1])),g.c(N(C*F,5,1)),kernel_shape=[1])
    w=g.o('Softmax',a,axis=2); total=lambda v:g.o('ReduceSum',v,g.c(i64(2)),keepdims=0)
    m=total(g.o('Mul',x,w)); s=total(g.o('Mul',g.o('Pow',x,g.c(f32(2))),w))
    s=g.o('Sqrt',g.o('Clip',g.o('Sub',s,g.o('Mul',m,m)),g.c(f32(1e-5))))
    g.save('image_pool',[1,'T',F],g.o('Gemm',g.o('Concat',m,s,axis=1),g.c(N(5,2*C*F)),g.c(N(5)),transB=1),N(1,20,F),'btc')
    # the mean over the height of an image, weighted over time
    g=G(17); x=g.o('Unsqueeze',g.o('Transpose','x',perm=[0,2,1]),g.c(i64(1)))
    x=g.o('Relu',g.o('Conv',x,g.c(N(C,1,3,3)/2),kernel_shape=[3,3],pads=[1,1,1,1]))
    x=g.o('Squeeze',g.o('Transpose',g.o('ReduceMean',x,axes=[2],keepdims=1),perm=[0,3,1,2]),g.c(i64(-1)))
    w=g.o('Softmax',g.o('MatMul',g.o('Tanh',g.o('MatMul',x,g.c(N(C,C)))),g.c(N(C,1))),axis=1)
    y=g.o('ReduceSum',g.o('Mul',x,w),g.c(i64(1)),keepdims=0)
    g.save('image_pool_of_means',[1,'T',F],g.o('Gemm',y,g.c(N(5,C)),g.c(N(5)),transB=1),N(1,20,F),'btc')
image_pool()
# positions of any number of steps, cut from a table or read from it; images of other shapes side by side along a new axis
def positions():
    r=np.random.default_rng(41); N=lambda *s:r.standard_normal(s).astype(np.float32)
    g=G(17); x=g.o('MatMul','x',g.c(N(6,8)/2)); t=g.o('Gather',g.o('Shape',x),g.c(i64(1)),axis=0)
    p=g.o('Transpose',g.o('Unsqueeze',g.o('Slice',g.c(N(40,8)),g.c(i64(0)),t,g.c(i64(0))),g.c(i64(1))),perm=[1,0,2])
    x=g.o('Add',x,g.o('Mul',p,g.c(f32(.5))))
    steps=g.o('Range',g.c(np.array(0,np.int64)),g.o('Squeeze',t),g.c(np.array(1,np.int64)))
    x=g.o('Add',g.o('Gather',g.c(N(40,8)),g.o('Unsqueeze',steps,g.c(i64(0))),axis=0),x)
    x=g.o('Relu',x)
    g.save('positions',[1,'T',6],head(g,x,8),N(1,20,6),'btc')
    g=G(17); x=g.o('Unsqueeze',g.o('Transpose','x',perm=[0,2,1]),g.c(i64(1)))
    x=g.o('Conv',x,g.c(N(4,1,3,3)/2),kernel_shape=[3,3],pads=[1,1,1,1])
    flat=lambda v,n:g.o('Reshape',g.o('Transpose',v,perm=[0,2,1,3]),g.o('Concat',g.c(i64(1,n)),g.o('Gather',g.o('Shape',v),g.c(i64(3)),axis=0),axis=0))
    y=flat(x,24); z=flat(g.o('Relu',g.o('Conv',x,g.c(N(8,4,2,1)/2),kernel_shape=[2,1],strides=[2,1])),24)
    w=np.exp(N(1,2,24,1)); w=(w/w.sum(1,keepdims=True)).astype(np.float32)
    y=g.o('Concat',g.o('Unsqueeze',y,g.c(i64(1))),g.o('Unsqueeze',z,g.c(i64(1))),axis=1)
    y=g.o('ReduceSum',g.o('Mul',y,g.c(w)),g.c(i64(1)),keepdims=0)
    g.save('stacked_images',[1,'T',6],head(g,g.o('Relu',g.o('Transpose',y,perm=[0,2,1])),24),N(1,20,6),'btc')
positions()
# what networks of classes end in; a filterbank that the graph computes
def classes():
    r=np.random.default_rng(43); N=lambda *s:r.standard_normal(s).astype(np.float32)
    g=G(17); y=g.o('ReduceMean',g.o('Relu',g.o('MatMul','x',g.c(N(6,8)))),axes=[1],keepdims=0)
    g.save('log_softmax',[1,'T',6],g.o('LogSoftmax',g.o('Gemm',y,g.c(3*N(7,8)),g.c(N(7)),transB=1),axis=-1),N(1,20,6),'btc')
    g=G(17); i=lambda v:g.c(np.array(v,np.int64)); f=lambda v:g.c(np.array(v,np.float32))
    m=g.o('MelWeightMatrix',i(8),i(64),i(16000),f(100.),f(7000.))
    x=g.o('Relu',g.o('MatMul',g.o('Sigmoid','x'),m))
    g.save('mel_weights',[1,'T',33],head(g,x,8),N(1,20,33),'btc')
classes()
# the distance from the mean over an image, squared: what a parameter-free attention is made of
def squares():
    r=np.random.default_rng(47); N=lambda *s:r.standard_normal(s).astype(np.float32); C,F,T0=4,6,9
    g=G(17); x=g.o('Unsqueeze',g.o('Transpose','x',perm=[0,2,1]),g.c(i64(1)))
    x=g.o('Conv',x,g.c(N(C,1,3,3)/2),kernel_shape=[3,3],pads=[1,1,1,1])
    d=g.o('Pow',g.o('Sub',x,g.o('ReduceMean',x,axes=[2,3],keepdims=1)),g.c(f32(2)))
    v=g.o('Div',g.o('ReduceSum',d,g.c(i64(2,3)),keepdims=1),g.c(f32(F*T0-1)))
    e=g.o('Add',g.o('Div',d,g.o('Mul',g.o('Add',v,g.c(f32(1e-4))),g.c(f32(4)))),g.c(f32(.5)))
    y=g.o('Flatten',g.o('ReduceMean',g.o('Mul',x,g.o('Sigmoid',e)),axes=[3],keepdims=0),axis=1)
    g.save('squares_of_an_image',[1,T0,F],g.o('Gemm',y,g.c(N(5,C*F)),g.c(N(5)),transB=1),N(1,T0,F),'btc')
squares()
# transforms of samples in the graph, and what is made of their two parts
def spectra(kind,opset=17):
    r=np.random.default_rng(53); N=lambda *s:r.standard_normal(s).astype(np.float32); L=16; K=L//2+1
    g=G(opset)
    if kind=='dft':
        z=g.o('DFT',g.o('Unsqueeze','x',g.c(i64(-1))),axis=2,onesided=1); T0=12
    else:
        x='x'
        if kind=='centred': x=g.o('Pad','x',g.c(i64(0,L//2,0,L//2)),mode='reflect')
        z=g.o('STFT',g.o('Unsqueeze',x,g.c(i64(-1))),g.c(np.array(5,np.int64)),g.c(np.hanning(L).astype(np.float32)),g.c(np.array(L,np.int64)),onesided=1); T0=120
    part=lambda i:g.o('Gather',z,g.c(np.array(i,np.int64)),axis=3)
    square=lambda v:g.o('Mul',v,v)
    if kind in('power','centred'): p=g.o('ReduceSum',g.o('Pow',z,g.c(f32(2))),g.c(i64(-1)),keepdims=0)
    elif kind=='of_magnitudes': p=g.o('Pow',g.o('Sqrt',g.o('Add',square(part(0)),square(part(1)))),g.c(f32(2)))
    else: p=g.o('Add',square(part(0)),square(part(1)))
    w=np.abs(N(K,4)); w[w<.5]=0
    y=g.o('MatMul',p,g.c(w))
    if kind in('power','dft'): y=g.o('Log',g.o('Add',y,g.c(f32(1e-4))))
    else: y=g.o('Mul',g.o('Log',g.o('Clip',y,g.c(f32(1e-4)))),g.c(f32(1/np.log(10))))
    y=g.o('Sub',y,g.o('ReduceMean',y,axes=[1],keepdims=1))
    dims,layout,x=([1,'N'],'raw',X(1,T0)*.3) if kind!='dft' else ([1,'T',L],'btc',X(1,T0,L)*.3)
    g.save('spectra_'+kind,dims,head(g,g.o('Relu',y),4),x,layout)
for kind in ['power','centred','of_magnitudes','of_parts','dft']: spectra(kind)
# comparisons, maxima over time, exponentials over their sum, unit length of signed values, convolution along channels
def odds(kind):
    r=np.random.default_rng(59); N=lambda *s:r.standard_normal(s).astype(np.float32)
    g=G(17); x=g.o('MatMul','x',g.c(N(6,8)/2)); zero=g.c(i64(0))
    if kind=='compared':
        a=g.o('Where',g.o('Greater',x,g.c(f32(.3))),x,g.o('Softplus',x))
        b=g.o('Where',g.o('LessOrEqual',x,g.c(f32(-.2))),g.c(f32(.5)),g.o('Mul',x,x))
        c=g.o('Where',g.o('Not',g.o('Less',g.c(f32(.1)),x)),g.o('Sigmoid',x),g.c(f32(1)))
        x=g.o('Add',g.o('Add',a,b),c)
    elif kind=='largest': x=g.o('Unsqueeze',g.o('ReduceMax',g.o('Tanh',x),axes=[1],keepdims=0),g.c(i64(1)))
    elif kind=='extremes':
        y=g.o('Tanh',g.o('MatMul','x',g.c(N(6,8)/2)))
        x=g.o('Add',g.o('Max',x,y),g.o('Min',g.o('Mul',x,g.c(f32(.5))),y))
        x=g.o('Sub',x,g.o('ReduceMin',y,axes=[1],keepdims=1))
    elif kind=='squares': x=g.o('Div',x,g.o('Sqrt',g.o('ReduceSumSquare',x,axes=[2],keepdims=1)))
    elif kind=='exponentials':
        e=g.o('Exp',g.o('MatMul',g.o('Tanh',x),g.c(N(8,1))))
        x=g.o('ReduceSum',g.o('Mul',g.o('Div',e,g.o('Add',g.o('ReduceSum',e,g.c(i64(1)),keepdims=1),g.c(f32(1e-7)))),x),g.c(i64(1)),keepdims=1)
    elif kind=='unit': x=g.o('Div',x,g.o('Clip',g.o('ReduceL2',x,axes=[-1],keepdims=1),g.o('Clip',g.c(f32(1e-12)),g.c(f32(0)))))
    else:
        x=g.o('Transpose',x,perm=[0,2,1]); m=g.o('ReduceMean',x,axes=[2],keepdims=1)
        m=g.o('Conv',g.o('Transpose',m,perm=[0,2,1]),g.c(N(1,1,3)),kernel_shape=[3],pads=[1,1])
        x=g.o('Transpose',g.o('Mul',x,g.o('Sigmoid',g.o('Transpose',m,perm=[0,2,1]))),perm=[0,2,1])
    g.save('odds_'+kind,[1,'T',6],head(g,x,8),N(1,20,6),'btc')
for kind in ['compared','largest','extremes','squares','exponentials','unit','channels']: odds(kind)
