"""Makes the graphs of this folder, in floats and in 8 bits, and what LiteRT's reference kernels compute with them.

pip install ai-edge-litert numpy; python generate.py
"""
import os, struct
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
DIR=os.path.dirname(os.path.abspath(__file__))
rng=np.random.default_rng(7)

# Flatbuffers. A table is a dict from field numbers to (kind, value); what a field refers to is written behind it.
FIXED={'u8':'<B','i8':'<b','i32':'<i','u32':'<I','f32':'<f'}
class Buffer:
    def __init__(s): s.b=bytearray()
    def align(s,n): s.b+=bytes(-len(s.b)%n)
    def point(s,at): struct.pack_into('<I',s.b,at,len(s.b)-at)
    def table(s,fields,at):
        size=4; places={}
        for f,(kind,v) in sorted(fields.items()):
            n=struct.calcsize(FIXED.get(kind,'<I')); size+=-size%n; places[f]=size; size+=n
        n=max(fields,default=-1)+1
        s.align(4); vtable=len(s.b)
        s.b+=struct.pack('<HH',4+2*n,size)+b''.join(struct.pack('<H',places.get(f,0)) for f in range(n)); s.align(4)
        s.point(at); t=len(s.b); s.b+=bytes(size); struct.pack_into('<i',s.b,t,t-vtable)
        later=[]
        for f,(kind,v) in fields.items():
            if kind in FIXED: struct.pack_into(FIXED[kind],s.b,t+places[f],v)
            else: later.append((kind,v,t+places[f]))
        for kind,v,at in later:
            if kind=='table': s.table(v,at)
            elif kind=='tables':
                s.align(4); s.point(at); s.b+=struct.pack('<I',len(v)); start=len(s.b); s.b+=bytes(4*len(v))
                for i,e in enumerate(v): s.table(e,start+4*i)
            else:
                raw=v if isinstance(v,bytes) else np.asarray(v,{'ints':'<i4','longs':'<i8','floats':'<f4'}[kind]).tobytes()
                n=len(raw)//(1 if kind=='bytes' else 8 if kind=='longs' else 4)
                s.align(4); s.b+=bytes(-(len(s.b)+4)%16); s.point(at); s.b+=struct.pack('<I',n)+raw+b'\0'
def model(fields):
    s=Buffer(); s.b+=b'\0\0\0\0TFL3'; s.table(fields,0); return bytes(s.b)

TYPE={np.dtype('float32'):0,np.dtype('int32'):2,np.dtype('int8'):9}
CODE=dict(ADD=0,AVERAGE_POOL_2D=1,CONV_2D=3,DEPTHWISE_CONV_2D=4,DEQUANTIZE=6,FULLY_CONNECTED=9,MAX_POOL_2D=17,RESHAPE=22,
  SOFTMAX=25,PAD=34,SQUEEZE=43,EXPAND_DIMS=70,QUANTIZE=114)
MOVES=('PAD','MAX_POOL_2D','AVERAGE_POOL_2D','RESHAPE','SQUEEZE','EXPAND_DIMS')
class Graph:
    """Operators over named tensors; weights are float32 and quantized when a graph of 8 bits is written."""
    def __init__(s,name,dims,edge='int8'): s.name,s.t,s.ops,s.edge=name,{'x':(dims,None,None)},[],edge
    def const(s,name,value,axis=None): s.t[name]=(value.shape,value,axis); return name
    def op(s,code,ins,dims,opts=None,kind=0):
        out=f'{code.lower()}_{len(s.ops)}'; s.t[out]=(dims,None,None); s.ops.append((code,ins,out,opts or {},kind)); return out
    def w(s,*dims,axis): return s.const(f'w{len(s.t)}',(rng.standard_normal(dims)/np.sqrt(np.prod(dims)/dims[axis])*1.5).astype('f4'),axis)
    def b(s,n): return s.const(f'b{len(s.t)}',(rng.standard_normal(n)*.2).astype('f4'))
    def bytes(s,scales=None):
        """Floats, or integers of 8 bits: `scales` has (scale, zero) of every tensor that is computed."""
        names=list(s.t); buffers=[{}]; tensors=[]; encoding=dict(scales or {})
        last=s.ops[-1][2]
        for name in names:
            dims,value,axis=s.t[name]; fields={0:('ints',dims),3:('bytes',name.encode())}; q=None; kind=np.dtype('float32')
            if value is None:
                if scales and not(s.edge=='float' and name in('x',last)): q=encoding[name]; q=([q[0]],[q[1]],0); kind=np.dtype('int8')
            else:
                if scales and axis is not None:
                    rest=tuple(i for i in range(value.ndim) if i!=axis)
                    sc=np.abs(value).max(rest)/127; shape=[1]*value.ndim; shape[axis]=-1
                    value=np.clip(np.rint(value/sc.reshape(shape)),-127,127).astype('i1'); q=(sc,[0]*len(sc),axis); encoding[name]=sc
                elif scales and name.startswith('b'):
                    code,ins,*_=next(o for o in s.ops if name in o[1])
                    sc=np.float32(encoding[ins[0]][0])*encoding[ins[1]].astype('f4')
                    value=np.rint(value/sc).astype('i4'); q=(sc,[0]*len(sc),0)
                kind=value.dtype; fields[2]=('u32',len(buffers)); buffers.append({0:('bytes',value.tobytes())})
            if q: fields[4]=('table',{2:('floats',q[0]),3:('longs',q[1]),6:('i32',q[2])})
            fields[1]=('i8',TYPE[kind]); tensors.append(fields)
        ops=[o for o in s.ops if scales or o[0] not in('QUANTIZE','DEQUANTIZE')]
        alias={o[2]:o[1][0] for o in s.ops if o not in ops}
        real=lambda n: real(alias[n]) if n in alias else n
        codes=sorted({o[0] for o in ops})
        operators=[{0:('u32',codes.index(c)),1:('ints',[names.index(real(i)) for i in ins]),2:('ints',[names.index(out)]),
          3:('u8',kind),**({4:('table',opts)} if kind else {})} for c,ins,out,opts,kind in ops]
        graph={0:('tables',tensors),1:('ints',[names.index('x')]),2:('ints',[names.index(real(last))]),3:('tables',operators)}
        codes=[{0:('i8',CODE[c]),2:('i32',{'PAD':1,'ADD':2 if scales else 1,'FULLY_CONNECTED':5,'QUANTIZE':1}.get(c,3 if scales and c!='RESHAPE' and c!='SQUEEZE' and c!='EXPAND_DIMS' else 1)),3:('i32',CODE[c])} for c in codes]
        return model({0:('u32',3),1:('tables',codes),2:('tables',[graph]),4:('tables',buffers)})
    def ranges(s,xs):
        """A scale and zero point for every tensor that is computed."""
        i=interpreter(s.bytes(),True); seen={}
        names={d['name']:d['index'] for d in i.get_tensor_details()}
        for x in xs:
            i.set_tensor(i.get_input_details()[0]['index'],x); i.invoke()
            for name,(_,value,_) in s.t.items():
                if value is None and name in names:
                    try: v=i.get_tensor(names[name])
                    except ValueError: continue
                    lo,hi=seen.get(name,(0,0)); seen[name]=(min(lo,v.min()),max(hi,v.max()))
        scales={}
        for name in s.t:
            o=next((o for o in s.ops if o[2]==name),None)
            if o and (o[0] in MOVES or o[0] in('QUANTIZE','DEQUANTIZE')): scales[name]=scales[o[1][0]]; continue
            if o and o[0]=='SOFTMAX': scales[name]=(1/256,-128); continue
            if name in seen:
                lo,hi=seen[name]; sc=np.float32((hi-lo)/255); scales[name]=(float(sc),int(np.clip(np.rint(-128-lo/sc),-128,127)))
        return scales
def interpreter(b,keep=False):
    i=Interpreter(model_content=b,experimental_op_resolver_type=OpResolverType.BUILTIN_REF,experimental_preserve_all_tensors=keep)
    i.allocate_tensors(); return i
def save(name,b,xs,rows):
    open(f'{DIR}/{name}.tflite','wb').write(b)
    i=interpreter(b); di,do=i.get_input_details()[0],i.get_output_details()[0]
    with open(f'{DIR}/{name}.txt','w') as f:
        f.write(f'{rows[0]} {rows[1]}\n')
        for x in xs:
            (s,z),q=di['quantization'],di['dtype']==np.int8
            if q: x=np.clip(np.rint(x/s)+z,-128,127).astype('i1')
            i.set_tensor(di['index'],x); i.invoke(); y=i.get_tensor(do['index'])
            real=lambda v,d: d['quantization'][0]*(v.astype(float)-d['quantization'][1]) if v.dtype==np.int8 else v.astype(float)
            for v in(real(x,di),real(y,do)): f.write(' '.join(map(repr,v.ravel().tolist()))+'\n')
    print(name,len(b),y.ravel()[:12])
def write(g,rows,floats=True):
    xs=[rng.standard_normal(g.t['x'][0]).astype('f4') for _ in range(24)]
    scales=g.ranges(xs)
    if floats: save(g.name+'_float',g.bytes(),xs[:2],rows)
    save(g.name+'_int8',g.bytes(scales),xs[:8],rows)

conv=lambda padding,sh=1,sw=1,act=0,dh=1,dw=1:{0:('i8',padding),1:('i32',sw),2:('i32',sh),3:('i8',act),4:('i32',dw),5:('i32',dh)}
deep=lambda padding,sh=1,sw=1,act=0,dh=1,dw=1:{0:('i8',padding),1:('i32',sw),2:('i32',sh),3:('i32',1),4:('i8',act),5:('i32',dw),6:('i32',dh)}
pool=lambda padding,sh,sw,kh,kw,act=0:{0:('i8',padding),1:('i32',sw),2:('i32',sh),3:('i32',kw),4:('i32',kh),5:('i8',act)}
SAME,VALID,RELU,RELU6=0,1,1,3
i32=lambda *a:np.array(a,'i4')

# An image: every operator that has a window, a sum, and probabilities.
g=Graph('image',[1,17,10,1])
x=g.op('PAD',['x',g.const('pads',i32([0,0],[1,2],[0,1],[0,0]))],[1,20,11,1])
x=g.op('CONV_2D',[x,g.w(8,4,3,1,axis=0),g.b(8)],[1,9,9,8],conv(VALID,2,1,RELU6),1)
x=g.op('DEPTHWISE_CONV_2D',[x,g.w(1,3,3,16,axis=3),g.b(16)],[1,9,9,16],{**deep(SAME,1,1,RELU,2,1),3:('i32',2)},2)
x=g.op('DEPTHWISE_CONV_2D',[x,g.w(1,3,2,16,axis=3),g.b(16)],[1,5,5,16],deep(SAME,2,2,RELU),2)
y=g.op('CONV_2D',[x,g.w(16,1,1,16,axis=0),g.b(16)],[1,5,5,16],conv(SAME),1)
x=g.op('ADD',[x,y],[1,5,5,16],{0:('i8',RELU)},11)
x=g.op('MAX_POOL_2D',[x],[1,3,3,16],pool(SAME,2,2,3,3),5)
x=g.op('AVERAGE_POOL_2D',[x],[1,1,1,16],pool(VALID,3,3,3,3),5)
x=g.op('RESHAPE',[x,g.const('shape',i32(-1,16))],[1,16])
x=g.op('FULLY_CONNECTED',[x,g.w(6,16,axis=0),g.b(6)],[1,6],{0:('i8',0)},8)
g.op('SOFTMAX',[x],[1,6],{0:('f32',1.0)},9)
write(g,(17,10))

# A sequence: a convolution over time as converters write it, floats at both ends.
g=Graph('sequence',[1,20,6],'float')
x=g.op('QUANTIZE',['x'],[1,20,6])
x=g.op('EXPAND_DIMS',[x,g.const('axis',i32(1)[0])],[1,1,20,6])
x=g.op('CONV_2D',[x,g.w(8,1,3,6,axis=0),g.b(8)],[1,1,10,8],conv(SAME,1,2,RELU),1)
x=g.op('SQUEEZE',[x],[1,10,8],{0:('ints',[1])},30)
x=g.op('FULLY_CONNECTED',[x,g.w(5,8,axis=0),g.b(5)],[1,10,5],{0:('i8',0),2:('u8',1)},8)
x=g.op('RESHAPE',[x,g.const('shape',i32(1,50))],[1,50])
x=g.op('FULLY_CONNECTED',[x,g.w(7,50,axis=0),g.b(7)],[1,7],{0:('i8',0)},8)
g.op('DEQUANTIZE',[x],[1,7])
write(g,(20,6),False)
